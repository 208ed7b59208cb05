// A password and the like: text that is overwritten when it goes.
//
// Moving wipes what was moved from; copying has to be written out, Secret(other.view()). What is made from a view()
// is the caller's to keep out of logs, pages and arguments of programs. Plain value; any thread.
#pragma once

#include <string.h>

#include <string>
#include <string_view>
#include <utility>

namespace tributary::core {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text) : text_(text) {}
  Secret(Secret&& other) noexcept { swap(other); }
  Secret& operator=(Secret&& other) noexcept {
    Secret(std::move(other)).swap(*this);
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(); }

  std::string_view view() const { return text_; }  // valid until the next call that changes it
  bool empty() const { return text_.empty(); }

  void append(std::string_view more) {
    if (text_.size() + more.size() > text_.capacity()) {  // a string that grows would leave its old bytes behind
      std::string larger;
      larger.reserve(2 * (text_.size() + more.size()));
      larger = text_;
      explicit_bzero(text_.data(), text_.size());
      text_.swap(larger);
    }
    text_ += more;
  }

 private:
  void wipe() { explicit_bzero(text_.data(), text_.size()); }
  // Short text lies in the object itself, where a swap of strings may leave a copy: hence by bytes.
  void swap(Secret& other) noexcept {
    std::string mine = text_;
    std::string theirs = other.text_;
    wipe();
    other.wipe();
    text_ = theirs;
    other.text_ = mine;
    explicit_bzero(mine.data(), mine.size());
    explicit_bzero(theirs.data(), theirs.size());
  }

  std::string text_;
};

}  // namespace tributary::core

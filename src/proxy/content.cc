#include "proxy/content.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "cache/record.h"

namespace tributary::proxy {
namespace {

class Prepended final : public http::BodySource {
 public:
  Prepended(core::Slice first, std::unique_ptr<http::BodySource> rest)
      : first_(std::move(first)), rest_(std::move(rest)) {}

  http::BodyRead read(http::BodyPart& part, uint64_t at_most) override {
    if (first_.empty()) return rest_->read(part, at_most);
    part = http::BodyPart();
    part.bytes = first_.sub(0, at_most);
    first_.remove_prefix(part.bytes.size());
    return http::BodyRead::Part;
  }
  void set_ready(core::Callback<void()> ready) override { rest_->set_ready(ready); }
  std::optional<uint64_t> remaining() const override {
    const std::optional<uint64_t> rest = rest_->remaining();
    return rest ? std::optional(*rest + first_.size()) : std::nullopt;
  }
  const http::FieldSection* trailers() const override { return rest_->trailers(); }
  core::Error error() const override { return rest_->error(); }

 private:
  core::Slice first_;
  std::unique_ptr<http::BodySource> rest_;
};

class Storing final : public http::BodySource {
 public:
  Storing(std::unique_ptr<http::BodySource> source, cache::WorkerCache& cache, cache::ObjectParts parts)
      : source_(std::move(source)), cache_(cache), parts_(std::move(parts)) {}

  http::BodyRead read(http::BodyPart& part, uint64_t at_most) override {
    const http::BodyRead result = source_->read(part, at_most);
    if (!parts_) return result;
    if (result == http::BodyRead::Part && kept_.size() + part.bytes.size() <= cache::kMaxMemoryBody) {
      kept_ += part.bytes.view();
    } else if (result == http::BodyRead::End) {
      cache_.store_whole(*std::exchange(parts_, std::nullopt), core::Slice::copy(kept_), nullptr);
    } else if (result != http::BodyRead::Wait) {
      parts_.reset();
      kept_ = std::string();
    }
    return result;
  }
  void set_ready(core::Callback<void()> ready) override { source_->set_ready(ready); }
  std::optional<uint64_t> remaining() const override { return source_->remaining(); }
  const http::FieldSection* trailers() const override { return source_->trailers(); }
  core::Error error() const override { return source_->error(); }

 private:
  std::unique_ptr<http::BodySource> source_;
  cache::WorkerCache& cache_;
  std::optional<cache::ObjectParts> parts_;
  std::string kept_;
};

class Window final : public http::BodySource {
 public:
  Window(std::unique_ptr<http::BodySource> source, uint64_t skip, uint64_t size)
      : source_(std::move(source)), skip_(skip), left_(size) {}

  http::BodyRead read(http::BodyPart& part, uint64_t at_most) override {
    for (;;) {
      if (left_ == 0) return http::BodyRead::End;
      const http::BodyRead read = source_->read(part, skip_ > 0 ? skip_ : std::min(left_, at_most));
      if (read == http::BodyRead::End) return http::BodyRead::Failed;
      if (read != http::BodyRead::Part) return read;
      if (skip_ == 0) {
        left_ -= part.size();
        return read;
      }
      skip_ -= part.size();
      part = http::BodyPart();
    }
  }
  void set_ready(core::Callback<void()> ready) override { source_->set_ready(ready); }
  std::optional<uint64_t> remaining() const override { return left_; }
  core::Error error() const override {
    const core::Error error = source_->error();
    if (error != core::Error{}) return error;
    return {.code = core::ErrorCode::IncompleteMessage, .side = core::Side::Origin};
  }

 private:
  std::unique_ptr<http::BodySource> source_;
  uint64_t skip_, left_;
};

class Multipart final : public http::BodySource {
 public:
  Multipart(http::MultipartRanges framing, std::vector<std::unique_ptr<http::BodySource>> parts)
      : framing_(std::move(framing)), parts_(std::move(parts)), text_(core::Slice::copy(framing_.prefix(0))) {}

  http::BodyRead read(http::BodyPart& part, uint64_t at_most) override {
    for (;;) {
      if (!text_.empty()) {
        part = http::BodyPart();
        part.bytes = text_.sub(0, at_most);
        text_.remove_prefix(part.bytes.size());
        return http::BodyRead::Part;
      }
      if (at_ == parts_.size()) return http::BodyRead::End;
      const http::BodyRead read = parts_[at_]->read(part, at_most);
      if (read != http::BodyRead::End) return read;
      parts_[at_++].reset();
      const bool is_last = at_ == parts_.size();
      text_ = core::Slice::copy(is_last ? framing_.suffix() : framing_.prefix(at_));
      if (!is_last) parts_[at_]->set_ready(ready_);
    }
  }
  void set_ready(core::Callback<void()> ready) override {
    ready_ = ready;
    if (at_ < parts_.size()) parts_[at_]->set_ready(ready);
  }
  core::Error error() const override { return at_ < parts_.size() ? parts_[at_]->error() : core::Error{}; }

 private:
  const http::MultipartRanges framing_;
  std::vector<std::unique_ptr<http::BodySource>> parts_;
  size_t at_ = 0;
  core::Slice text_;  // that comes before the next byte of a part
  core::Callback<void()> ready_;
};

}  // namespace

std::unique_ptr<http::BodySource> prepend(core::Slice first, std::unique_ptr<http::BodySource> rest) {
  if (first.empty()) return rest;
  return std::make_unique<Prepended>(std::move(first), std::move(rest));
}

std::unique_ptr<http::BodySource> storing(std::unique_ptr<http::BodySource> source, cache::WorkerCache& cache,
                                          cache::ObjectParts parts) {
  return std::make_unique<Storing>(std::move(source), cache, std::move(parts));
}

std::unique_ptr<http::BodySource> window(std::unique_ptr<http::BodySource> source, uint64_t skip, uint64_t size) {
  return std::make_unique<Window>(std::move(source), skip, size);
}

std::unique_ptr<http::BodySource> multipart(http::MultipartRanges framing,
                                            std::vector<std::unique_ptr<http::BodySource>> parts) {
  return std::make_unique<Multipart>(std::move(framing), std::move(parts));
}

}  // namespace tributary::proxy

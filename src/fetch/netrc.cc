#include "fetch/netrc.h"

#include <algorithm>

#include "http/text.h"

namespace tributary::fetch {
namespace {

using http::equal_ignoring_case;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  size_t line() const { return line_; }

  // The next word; nothing at the end, or where a quoted one does not end: is_broken().
  std::optional<core::Secret> word() {
    while (!rest_.empty() && is_space(rest_.front())) advance(1);
    if (rest_.empty()) return std::nullopt;
    if (rest_.front() == '"') return quoted();
    const auto end = std::find_if(rest_.begin(), rest_.end(), is_space);
    core::Secret out(rest_.substr(0, static_cast<size_t>(end - rest_.begin())));
    advance(out.view().size());
    return out;
  }
  bool is_broken() const { return is_broken_; }

  void skip_line() { advance(std::min(rest_.find('\n'), rest_.size())); }

  // To the end of the first empty line.
  void skip_macro() {
    skip_line();
    while (!rest_.empty()) {
      advance(1);
      const std::string_view here = rest_.substr(0, rest_.find('\n'));
      if (here.empty() || here == "\r") return;
      skip_line();
    }
  }

 private:
  void advance(size_t count) {
    line_ += static_cast<size_t>(std::count(rest_.begin(), rest_.begin() + static_cast<ptrdiff_t>(count), '\n'));
    rest_.remove_prefix(count);
  }

  std::optional<core::Secret> quoted() {
    core::Secret out;
    for (size_t i = 1; i < rest_.size() && rest_[i] != '\n'; ++i) {
      char c = rest_[i];
      if (c == '"') {
        advance(i + 1);
        return out;
      }
      if (c == '\\') {
        if (++i == rest_.size()) break;
        c = rest_[i] == 'n' ? '\n' : rest_[i] == 'r' ? '\r' : rest_[i] == 't' ? '\t' : rest_[i];
      }
      out.append({&c, 1});
    }
    is_broken_ = true;
    return std::nullopt;
  }

  std::string_view rest_;
  size_t line_ = 1;
  bool is_broken_ = false;
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), http::to_lower);
  return out;
}

bool has_value(std::string_view keyword) {
  for (const std::string_view known : {"machine", "login", "password", "account", "port", "protocol", "macdef"}) {
    if (equal_ignoring_case(keyword, known)) return true;
  }
  return false;
}

void set(NetrcEntry& entry, std::string_view keyword, core::Secret value) {
  if (equal_ignoring_case(keyword, "login")) {
    entry.login = value.view();
  } else if (equal_ignoring_case(keyword, "password")) {
    entry.password = std::move(value);
    entry.has_password = true;
  } else if (equal_ignoring_case(keyword, "account")) {
    entry.account = value.view();
  }
}

}  // namespace

std::optional<Netrc> Netrc::parse(std::string_view text, std::string& why) {
  Netrc netrc;
  Reader reader(text);
  while (auto keyword = reader.word()) {
    const std::string_view name = keyword->view();
    if (name.starts_with('#')) {
      reader.skip_line();
    } else if (equal_ignoring_case(name, "default")) {
      netrc.entries_.emplace_back().is_default = true;
    } else if (has_value(name)) {
      const size_t line = reader.line();
      auto value = reader.word();
      if (!value) {
        why = "line " + std::to_string(line) + ": " + (reader.is_broken() ? "a quoted word has no end" : "a keyword has no value");
        return std::nullopt;
      }
      if (equal_ignoring_case(name, "macdef")) {
        reader.skip_macro();
      } else if (equal_ignoring_case(name, "machine")) {
        netrc.entries_.emplace_back().machine = lower(value->view());
      } else if (!netrc.entries_.empty()) {
        set(netrc.entries_.back(), name, std::move(*value));
      }
    }
  }
  if (reader.is_broken()) {
    why = "line " + std::to_string(reader.line()) + ": a quoted word has no end";
    return std::nullopt;
  }
  return netrc;
}

const NetrcEntry* Netrc::find(std::string_view host, std::string_view login) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const NetrcEntry& entry) {
    return (entry.is_default || equal_ignoring_case(entry.machine, host)) &&
           (login.empty() || entry.login.empty() || entry.login == login);
  });
  return found == entries_.end() ? nullptr : &*found;
}

}  // namespace tributary::fetch

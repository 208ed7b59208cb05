// .netrc: credentials by host, as ftp, curl and wget read it.
//
//   machine NAME | default   login NAME   password TEXT   account TEXT   macdef NAME … empty line   # comment
//
// Words are separated by white space. One that begins with a quotation mark ends with the next, and "\" in it makes the following
// character plain (n, r, t: newline, return, tab), as in curl. A "#" starts a comment only where a keyword may stand: passwords
// begin with it too. `port` and `protocol`, which Emacs writes, are read past. Passwords are core::Secret. Pure text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/secret.h"

namespace tributary::fetch {

struct NetrcEntry {
  std::string machine;  // lower case
  std::string login;
  core::Secret password;
  std::string account;
  bool is_default = false;    // for every host
  bool has_password = false;  // it may be empty
};

class Netrc {
 public:
  // Nothing when a quoted word does not end on its line or a keyword has no value: `why` says in which line. Half of a
  // file is never taken for the whole.
  static std::optional<Netrc> parse(std::string_view text, std::string& why);

  // The first entry for `host` (any case) and, when `login` is given, for that user: an entry without a login is for any. An
  // entry "default" matches every host. What the entry lacks is not looked for in others (CVE-2024-11053). nullptr: none.
  const NetrcEntry* find(std::string_view host, std::string_view login = {}) const;

  const std::vector<NetrcEntry>& entries() const { return entries_; }

 private:
  std::vector<NetrcEntry> entries_;
};

}  // namespace tributary::fetch

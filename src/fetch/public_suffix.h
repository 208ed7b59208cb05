// The Public Suffix List (publicsuffix.org) through libpsl: which domains are registries' and not anybody's own ("co.uk",
// "github.io"). Cookies for such a domain would reach strangers (RFC 6265bis, 5.7).
//
// Hosts are lower-case ASCII, as http::Url::host() has them: names with A-labels, or IP literals. A name whose top-level
// domain the list does not know is under a suffix of one label, as the list's own algorithm says. Immutable once
// built: any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace tributary::fetch {

class PublicSuffixList {
 public:
  // What libpsl was built with. Throws nothing, allocates nothing, reads no file.
  PublicSuffixList();
  // A list in the format of public_suffix_list.dat; lines that are no rules are passed over. Copies what it needs.
  explicit PublicSuffixList(const std::string& text);

  bool is_public_suffix(std::string_view domain) const;

  // The registrable domain that `host` belongs to ("a.b.example.co.uk": "example.co.uk"); `host` itself when it is a
  // public suffix or an IP address. Hosts of one site, and only they, may share cookies.
  std::string site_of(std::string_view host) const;

  // For --version and bug reports: "built in, 12703 rules of 2023-02-09" or "given, 9 rules".
  std::string describe() const;

 private:
  struct Data;
  struct Release {
    void operator()(Data* data) const;
  };
  std::unique_ptr<Data, Release> given_;  // none: the one built in
  const Data* data_ = nullptr;
};

}  // namespace tributary::fetch

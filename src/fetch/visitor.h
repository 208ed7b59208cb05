// Visitor: what a run shows to servers besides the request itself, and what it learns from them: cookies, credentials, HSTS.
// One for all transfers, loop-affine, no files.
//
// Credentials in a URL and those of the command line are for the origin of the URL that the user gave; those of a netrc file for its
// hosts. The first of these three that there is counts (wget's order would have the second last; curl's has it first). They are
// sent once the server has asked for them (401), and never where the user's own Authorization field is.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/secret.h"
#include "fetch/cookie_jar.h"
#include "fetch/credentials.h"
#include "fetch/hsts.h"
#include "fetch/netrc.h"
#include "fetch/public_suffix.h"
#include "fetch/settings.h"
#include "http/message.h"
#include "http/url.h"

namespace tributary::fetch {

class Visitor {
 public:
  // `verifies`: certificates are; else what servers say of HSTS is not believed (RFC 6797, 8.1).
  explicit Visitor(bool verifies) : verifies_(verifies), cookies_(suffixes_) {}

  void set_user(std::string user, core::Secret password);
  void set_netrc(Netrc netrc) { netrc_ = std::move(netrc); }
  CookieJar& cookies() { return cookies_; }
  HstsStore& hsts() { return hsts_; }

  // A request to `url` in the course of a download. `is_at_origin`: as request_head() has it. `own`: of the login in the
  // download's URL; null: there is none.
  struct Visit {
    const http::Url& url;
    bool is_at_origin;
    Authenticator* own;
  };

  // For the login in `url`. A password that is not there comes from the netrc file, if it knows this user.
  std::unique_ptr<Authenticator> introduce(const http::Url& url, const Login& login) const;

  // Puts cookies and credentials into a request that is about to be sent; each request is dressed anew.
  void dress(http::RequestHead& head, const Visit& visit, core::UnixTime now);

  // What any response says.
  void note(const Visit& visit, const http::FieldSection& response, core::UnixTime now);

  // After a 401 to `request`: whether it is worth asking again, dressed anew. Else `why`.
  bool is_answerable(const Visit& visit, const http::RequestHead& request, const http::FieldSection& response, std::string& why);

 private:
  Authenticator* authenticator(const Visit& visit);

  const bool verifies_;
  PublicSuffixList suffixes_;
  CookieJar cookies_;
  HstsStore hsts_;
  std::optional<std::string> user_;
  core::Secret password_;
  std::optional<Netrc> netrc_;
  std::map<std::string, std::unique_ptr<Authenticator>, std::less<>> authenticators_;  // by whose credentials, and origin
};

}  // namespace tributary::fetch

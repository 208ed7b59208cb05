// The one URL parser: http and https targets of requests, authorities, and references in Location
// and the like.
//
// RFC 3986, strict in scheme and authority, because there a second opinion means a security hole
// (V-9): no userinfo, no backslash, no percent-encoding in the host, no control or non-ASCII
// character, no empty host, ports 1 to 65535. In path and query the characters that browsers send
// raw (| [ ] { } " ^ ` < > \ and a % that starts no escape) and bytes above 0x7f pass unchanged;
// controls, DEL and spaces are refused. Nothing is decoded or rewritten except: scheme and host
// lower-cased, default port left out, empty path "/".
//
// Views point into the text that was parsed. Any thread; linear time; parsing into a view allocates
// nothing. Errors: InvalidArgument for bad syntax, UnsupportedProtocol for another scheme.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace tributary::http {

enum class Scheme : uint8_t { Http, Https };

inline constexpr uint16_t default_port(Scheme scheme) {
  return scheme == Scheme::Http ? 80 : 443;
}
inline constexpr std::string_view scheme_text(Scheme scheme) {
  return scheme == Scheme::Http ? "http" : "https";
}

// "host[:port]", as in Host and CONNECT.
struct Authority {
  std::string_view host;  // as it came (any case), without the brackets of an IPv6 literal
  uint16_t port = 0;      // 0: none was given
  bool ipv6_literal = false;
};

// For Host and for the authority of a URL: the port may be absent or empty.
core::Result<Authority> parse_authority(std::string_view text);
// For CONNECT (RFC 9112, 3.2.3): the port must be there.
core::Result<Authority> parse_connect_authority(std::string_view text);

// A host that may stand in an authority: a name (letters, digits, -._~ and sub-delims, at most 255
// bytes) or an IPv6 literal without brackets. Dotted quads are names here.
bool is_valid_host(std::string_view host);

// Path and query of origin-form (RFC 9112, 3.2.1).
struct PathQuery {
  std::string_view path;   // starts with "/"
  std::string_view query;  // without "?"
  bool has_query = false;  // "/a?" differs from "/a"
};
core::Result<PathQuery> parse_origin_form(std::string_view target);

// An absolute URL, seen in place.
struct UrlView {
  Scheme scheme = Scheme::Http;
  Authority authority;     // authority.port as it came; port() is the effective one
  std::string_view path;   // starts with "/", or empty
  std::string_view query;  // without "?"
  bool has_query = false;
  std::string_view
      path_query;  // path and query together as they came; may be empty or start with "?"

  uint16_t port() const { return authority.port ? authority.port : default_port(scheme); }
};

enum class Fragment : uint8_t {
  Refuse,  // request targets have none (RFC 9112, 3.2)
  Drop,    // references (Location) may
};
core::Result<UrlView> parse_absolute(std::string_view text, Fragment fragment = Fragment::Refuse);

// The lower-cased origin a request for `view` goes to, "http://host[:port]", appended to `out`.
void append_origin(Scheme scheme, const Authority& authority, std::string& out);
// The normalised key form: origin, path ("/" when empty) and query. Equal keys are the same
// resource by RFC 3986, 6.2.2.1 and 6.2.3; nothing weaker (case of the path, percent-encoding, dot
// segments) is folded.
void append_key(const UrlView& view, std::string& out);

// An owned URL in key form.
class Url {
 public:
  Url() = default;
  static core::Result<Url> parse(std::string_view text, Fragment fragment = Fragment::Drop);
  static Url from(const UrlView& view);
  // From parts that were validated: an authority and an origin-form target.
  static core::Result<Url> from(Scheme scheme, const Authority& authority, std::string_view target);

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  Scheme scheme() const { return scheme_; }
  uint16_t port() const { return port_; }
  bool ipv6_literal() const { return ipv6_literal_; }

  // Lower case, without brackets: to resolve or to compare with rules.
  std::string_view host() const;
  // "host" or "host:port", with brackets where needed: the Host field.
  std::string_view authority() const;
  // "http://host[:port]".
  std::string_view origin() const { return std::string_view(text_).substr(0, path_begin_); }
  std::string_view path() const {
    return std::string_view(text_).substr(path_begin_, path_end_ - path_begin_);
  }
  // Without "?".
  std::string_view query() const;
  bool has_query() const { return path_end_ < text_.size(); }
  // Path and query: the origin-form target to send.
  std::string_view target() const { return std::string_view(text_).substr(path_begin_); }

  friend bool operator==(const Url& a, const Url& b) { return a.text_ == b.text_; }

 private:
  std::string text_;
  uint32_t path_begin_ = 0;
  uint32_t path_end_ = 0;
  uint16_t port_ = 0;
  Scheme scheme_ = Scheme::Http;
  bool ipv6_literal_ = false;
  bool explicit_port_ = false;
};

// `reference` relative to `base` (RFC 3986, 5.2, strict), the fragment dropped, dot segments
// removed. UnsupportedProtocol when it leads out of http and https.
core::Result<Url> resolve(const Url& base, std::string_view reference);

}  // namespace tributary::http

// Redirects of one request: which are followed (RFC 9110, 15.4). The method is always GET, so 301, 302, 303, 307 and 308
// differ in nothing. Refused: more than the limit, a URL that was met before, what is not http or https, and the way
// from https to http. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "fetch/hsts.h"
#include "http/message.h"
#include "http/url.h"

namespace tributary::fetch {

class Redirects {
 public:
  // Hosts that `hsts` knows are asked by https, whatever leads there; the start too.
  Redirects(const http::Url& start, unsigned limit, const HstsStore& hsts, core::UnixTime now)
      : limit_(limit), hsts_(hsts), visited_{hsts.upgrade(start, now)} {}

  static bool is_redirect(uint16_t status);

  struct Step {
    std::optional<http::Url> url;  // where to go
    std::string problem;           // why not: a sentence without a full stop
  };
  Step follow(const http::ResponseHead& response, core::UnixTime now);

  const http::Url& current() const { return visited_.back(); }
  // Every step so far stayed at the origin of the start: what belongs to that origin alone may be sent.
  bool is_at_origin() const;
  unsigned count() const { return static_cast<unsigned>(visited_.size() - 1); }

 private:
  const unsigned limit_;
  const HstsStore& hsts_;
  std::vector<http::Url> visited_;
};

}  // namespace tributary::fetch

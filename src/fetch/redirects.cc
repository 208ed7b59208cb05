#include "fetch/redirects.h"

#include <algorithm>

#include "fetch/list_file.h"

namespace tributary::fetch {

bool Redirects::is_redirect(uint16_t status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Redirects::Step Redirects::follow(const http::ResponseHead& response, core::UnixTime now) {
  const auto location = response.fields.find_only(http::FieldName::Location);
  if (!location || location->empty()) return {{}, "the redirect does not say where to"};
  // What a server writes before an "@" is not the user's, and goes nowhere; not into messages either.
  std::string reference(*location);
  drop_login(reference);
  core::Result<http::Url> url = http::resolve(current(), reference);
  if (!url) {
    const bool is_foreign = url.error().code == core::ErrorCode::UnsupportedProtocol;
    return {{}, (is_foreign ? "the redirect leads out of http and https: " : "the redirect leads to what is no URL: ") +
                    reference};
  }
  *url = hsts_.upgrade(*url, now);
  if (current().scheme() == http::Scheme::Https && url->scheme() == http::Scheme::Http) {
    return {{}, "the redirect leads from https to http, which is not followed: " + url->text()};
  }
  if (std::find(visited_.begin(), visited_.end(), *url) != visited_.end()) {
    return {{}, "the redirects lead around in a circle: " + url->text()};
  }
  if (count() >= limit_) return {{}, "more than " + std::to_string(limit_) + " redirects"};
  visited_.push_back(*url);
  return {*url, {}};
}

bool Redirects::is_at_origin() const {
  return std::all_of(visited_.begin(), visited_.end(),
                     [this](const http::Url& url) { return url.origin() == visited_.front().origin(); });
}

}  // namespace tributary::fetch

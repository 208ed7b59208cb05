#include "fetch/url_trail.h"

#include "core/loop.h"
#include "fetch/request_head.h"

namespace tributary::fetch {

UrlTrail::UrlTrail(const http::Url& url, bool is_users, Authenticator* own, const Settings& settings, Visitor& visitor, ProxyChoice& proxies,
                   const core::Loop& loop)
    : is_users_(is_users),
      own_(own),
      settings_(settings),
      visitor_(visitor),
      proxies_(proxies),
      loop_(loop),
      redirects_(url, settings.max_redirects, visitor.hsts(), loop.unix_now()) {
  std::string why;
  route_ = proxies_.route(redirects_.current(), why).value_or(nullptr);
}

upstream::Origin UrlTrail::origin() const {
  upstream::Origin origin = upstream::Origin::from(redirects_.current());
  origin.route = route_;
  return origin;
}

http::RequestHead UrlTrail::head() const {
  http::RequestHead head = request_head(redirects_.current(), settings_, is_at_origin(), std::nullopt);
  visitor_.dress(head, visit(), loop_.unix_now());
  return head;
}

bool UrlTrail::follow(const http::ResponseHead& redirect) {
  visitor_.note(visit(), redirect.fields, loop_.unix_now());
  if (!redirects_.follow(redirect, loop_.unix_now()).url) return false;
  std::string why;
  std::optional<upstream::RoutePtr> route = proxies_.route(redirects_.current(), why);
  if (route) route_ = std::move(*route);
  return route.has_value();
}

}  // namespace tributary::fetch

// UrlTrail: where a source of a transfer is asked: its URL, then where redirects lead. Loop-affine.
#pragma once

#include "fetch/proxy_choice.h"
#include "fetch/redirects.h"
#include "fetch/settings.h"
#include "fetch/visitor.h"
#include "upstream/trail.h"

namespace tributary::core {
class Loop;
}

namespace tributary::fetch {

class UrlTrail final : public upstream::Trail {
 public:
  // There is a way to `url` (ProxyChoice). `is_users`: the URL is of the origin that the user's credentials are for, `own` those of the URL itself (null: none). What is given outlives it.
  UrlTrail(const http::Url& url, bool is_users, Authenticator* own, const Settings& settings, Visitor& visitor, ProxyChoice& proxies,
           const core::Loop& loop);

  upstream::Origin origin() const override;
  http::RequestHead head() const override;
  bool follow(const http::ResponseHead& redirect) override;
  bool is_redirected() const override { return redirects_.count() > 0; }

 private:
  bool is_at_origin() const { return is_users_ && redirects_.is_at_origin(); }
  Visitor::Visit visit() const { return {redirects_.current(), is_at_origin(), own_}; }

  const bool is_users_;
  Authenticator* const own_;
  const Settings& settings_;
  Visitor& visitor_;
  ProxyChoice& proxies_;
  const core::Loop& loop_;
  Redirects redirects_;
  upstream::RoutePtr route_;  // to where it is now
};

}  // namespace tributary::fetch

#include "fetch/visitor.h"

#include <utility>

namespace tributary::fetch {

using http::FieldName;

void Visitor::set_user(std::string user, core::Secret password) {
  user_ = std::move(user);
  password_ = std::move(password);
}

std::unique_ptr<Authenticator> Visitor::introduce(const http::Url& url, const Login& login) const {
  std::string_view password = login.password.view();
  if (!login.has_password && netrc_) {
    const NetrcEntry* entry = netrc_->find(url.host(), login.user);
    if (entry && entry->login == login.user) password = entry->password.view();
  }
  return std::make_unique<Authenticator>(login.user, core::Secret(password));
}

// The dialogue with this origin; null: there are no credentials for it.
Authenticator* Visitor::authenticator(const Visit& visit) {
  const http::Url& url = visit.url;
  if (visit.own && visit.is_at_origin) return visit.own;
  const bool is_users = user_ && visit.is_at_origin;
  const NetrcEntry* entry = is_users || !netrc_ ? nullptr : netrc_->find(url.host());
  if (!is_users && (!entry || entry->login.empty())) return nullptr;
  const std::string key = (is_users ? "user " : "netrc ") + std::string(url.origin());
  std::unique_ptr<Authenticator>& known = authenticators_[key];
  if (!known) {
    known = is_users ? std::make_unique<Authenticator>(*user_, core::Secret(password_.view()))
                     : std::make_unique<Authenticator>(entry->login, core::Secret(entry->password.view()));
  }
  return known.get();
}

void Visitor::dress(http::RequestHead& head, const Visit& visit, core::UnixTime now) {
  // A Cookie of the user's own is there from request_head() on; ours is replaced.
  const std::string cookies = cookies_.header(visit.url, now);
  if (!cookies.empty()) head.fields.set(FieldName::Cookie, cookies);
  Authenticator* const ours = authenticator(visit);
  if (!ours) return;
  const std::string credentials = ours->header(http::method_text(head.method), head.target);
  if (!credentials.empty()) head.fields.set(FieldName::Authorization, credentials);
}

void Visitor::note(const Visit& visit, const http::FieldSection& response, core::UnixTime now) {
  cookies_.store_all(visit.url, response, now);
  if (verifies_) hsts_.note(visit.url, response, now);
  if (const auto info = response.find(FieldName::AuthenticationInfo)) {
    if (Authenticator* const ours = authenticator(visit)) ours->note_info(*info);
  }
}

bool Visitor::is_answerable(const Visit& visit, const http::RequestHead& request, const http::FieldSection& response,
                            std::string& why) {
  Authenticator* const ours = authenticator(visit);
  if (!ours) {
    why = "the server asks for credentials; give them in the URL (user:password@host), or see --user and --netrc-file";
    return false;
  }
  const std::string_view sent = request.fields.find(FieldName::Authorization).value_or("");
  switch (ours->challenged(response, FieldName::WwwAuthenticate, sent, why)) {
    case Authenticator::Verdict::Send: return true;
    case Authenticator::Verdict::Refused:
      why = "the server refuses these credentials";
      return false;
    case Authenticator::Verdict::Unsupported: return false;
  }
  return false;
}

}  // namespace tributary::fetch

// URL parsing: whatever is accepted parses to itself again, from every form, and names the same
// host everywhere (V-9).
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/url.h"

using namespace tributary;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const http::Url& url) {
  require(http::is_valid_host(url.host()));
  require(url.port() != 0);
  require(url.path().starts_with('/'));
  require(std::string(url.origin()).append(url.target()) == url.text());
  const auto again = http::Url::parse(url.text(), http::Fragment::Refuse);
  require(again.ok() && *again == url && again->port() == url.port());
  const auto authority = http::parse_authority(url.authority());
  require(authority.ok() && authority->host == url.host());
  const auto rebuilt = http::Url::from(url.scheme(), *authority, url.target());
  require(rebuilt.ok() && *rebuilt == url);
  // Any URL is reached from any base by its own text. Dot segments are removed on the way, so
  // compare from there on.
  const auto base = http::Url::parse("https://base.example:8443/a/b?c");
  const auto reached = http::resolve(*base, url.text());
  require(reached.ok() && reached->origin() == url.origin());
  const auto settled = http::resolve(*reached, reached->text());
  require(settled.ok() && *settled == *reached);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (http::Fragment fragment : {http::Fragment::Refuse, http::Fragment::Drop}) {
    const auto view = http::parse_absolute(text, fragment);
    const auto url = http::Url::parse(text, fragment);
    require(view.ok() == url.ok());
    if (!url) continue;
    std::string key;
    http::append_key(*view, key);
    require(key == url->text());
    check(*url);
  }
  for (const char* base : {"http://a/b/c/d;p?q", "https://[::1]:1"}) {
    const auto resolved = http::resolve(*http::Url::parse(base), text);
    if (resolved) check(*resolved);
  }
  if (const auto authority = http::parse_connect_authority(text)) {
    std::string origin;
    http::append_origin(http::Scheme::Https, *authority, origin);
    const auto url = http::Url::parse(origin);
    require(url.ok() && url->port() == authority->port);
  }
  if (const auto parts = http::parse_origin_form(text)) {
    const auto url = http::Url::from(http::Scheme::Http, *http::parse_authority("h"), text);
    require(url.ok() && url->target() == text && url->query() == parts->query);
  }
  return 0;
}

// A cookie file, then "set HOST" lines of Set-Cookie values: whatever comes, the jar stays within its limits, what it sends is a
// field value, nothing crosses a site, and what it writes it reads again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fetch/cookie_file.h"
#include "http/text.h"

using namespace tributary;

namespace {

constexpr core::UnixTime kNow = 1795000000;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(fetch::CookieJar& jar, const http::Url& url) {
  const std::string header = jar.header(url, kNow);
  require(header.size() <= fetch::CookieJar::kMaxHeader && http::is_field_value(header));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fetch::PublicSuffixList suffixes;
  static const http::Url sites[] = {*http::Url::parse("https://a.example.com/d/e"), *http::Url::parse("http://b.example.com/d"),
                                    *http::Url::parse("http://co.uk/"), *http::Url::parse("http://127.0.0.1/")};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  fetch::CookieJar jar(suffixes);
  size_t number = 0;
  for (std::string_view rest = text; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    jar.store(sites[number % std::size(sites)], line, kNow + static_cast<int64_t>(number));
    fetch::parse_cookie_date(line);
  }
  for (const fetch::Cookie& cookie : jar.cookies(kNow)) {
    require(cookie.host_only || !suffixes.is_public_suffix(cookie.domain));
  }
  fetch::read_cookie_file(text, kNow, jar);
  require(jar.size() <= fetch::CookieJar::kMaxCookies);
  for (const http::Url& url : sites) check(jar, url);
  const std::string written = fetch::write_cookie_file(jar, kNow);
  fetch::CookieJar again(suffixes);
  const auto result = fetch::read_cookie_file(written, kNow, again);
  require(result.refused == 0 && result.cookies == jar.cookies(kNow).size());
  require(fetch::write_cookie_file(again, kNow) == written);
  return 0;
}

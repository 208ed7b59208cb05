#include "fetch/list_file.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "http/percent.h"

namespace tributary::fetch {
namespace {

constexpr std::string_view kBlank = " \t\r\f\v";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// Where the authority begins: behind "://", which is none if it only comes in the path.
std::optional<size_t> end_of_scheme(std::string_view text) {
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos || text.find_first_of("/?#") != colon + 1) return {};
  return colon + 3;
}

std::optional<Login> take_login_at(size_t begin, std::string& url) {
  const std::string_view authority = std::string_view(url).substr(begin, url.find_first_of("/?#", begin) - begin);
  const size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return {};
  const std::string_view userinfo = authority.substr(0, at);
  const bool is_valid = userinfo.find('\\') == std::string_view::npos;
  const size_t colon = std::min(userinfo.find(':'), userinfo.size());
  Login login;
  login.has_password = colon < userinfo.size();
  http::append_percent_decoded(trimmed(userinfo.substr(0, colon)), login.user);
  std::string password;
  http::append_percent_decoded(userinfo.substr(std::min(colon + 1, userinfo.size())), password);
  login.password = core::Secret(password);
  explicit_bzero(password.data(), password.size());
  std::string rest = url.substr(0, begin) + (is_valid ? "" : "\\@") + url.substr(begin + at + 1);
  explicit_bzero(url.data(), url.size());
  url = std::move(rest);
  return login;
}

}  // namespace

std::optional<Login> take_login(std::string& url) { return take_login_at(end_of_scheme(url).value_or(0), url); }

void drop_login(std::string& reference) {
  if (const auto begin = end_of_scheme(reference)) {
    take_login_at(*begin, reference);
  } else if (reference.starts_with("//")) {
    take_login_at(2, reference);
  }
}

std::vector<std::string> parse_list(std::string_view text) {
  std::vector<std::string> urls;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    if (!line.empty() && line.front() != '#') urls.emplace_back(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return urls;
}

core::Result<http::Url> parse_url(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  if (!end_of_scheme(text)) encoded = "http://";
  for (const char c : trimmed(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == ' ' || byte >= 0x80) {
      encoded += '%';
      encoded += kHex[byte >> 4];
      encoded += kHex[byte & 15];
    } else {
      encoded += c;
    }
  }
  return http::Url::parse(encoded);
}

}  // namespace tributary::fetch

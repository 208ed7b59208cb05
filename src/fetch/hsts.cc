#include "fetch/hsts.h"

#include <algorithm>

#include "http/parameters.h"
#include "http/text.h"
#include "net/address.h"

namespace tributary::fetch {
namespace {

constexpr int64_t kForever = int64_t{1} << 40;  // more than anybody means, and sums with a time do not overflow

std::string canonical(std::string_view host) {
  if (host.size() > 1 && host.ends_with('.')) host.remove_suffix(1);
  std::string out(host);
  std::transform(out.begin(), out.end(), out.begin(), http::to_lower);
  return out;
}

std::optional<int64_t> seconds(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), http::is_digit)) return std::nullopt;
  return static_cast<int64_t>(std::min<uint64_t>(http::parse_decimal(text).value_or(kForever), kForever));
}

std::string_view take_word(std::string_view& line) {
  while (!line.empty() && http::is_ows(line.front())) line.remove_prefix(1);
  const std::string_view word = line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

std::optional<HstsPolicy> parse_strict_transport_security(std::string_view value) {
  HstsPolicy policy;
  bool has_max_age = false;
  while (!value.empty()) {
    const http::Parameter directive = http::take_parameter(value, ";");
    if (!value.empty()) value.remove_prefix(1);
    if (directive.name.empty() && !directive.has_value) continue;  // 6.1: directives may be empty
    if (!http::is_token(directive.name)) return std::nullopt;
    if (http::equal_ignoring_case(directive.name, "max-age")) {
      const auto age = seconds(directive.value());
      if (!age || has_max_age) return std::nullopt;
      has_max_age = true;
      policy.max_age = *age;
    } else if (http::equal_ignoring_case(directive.name, "includeSubDomains")) {
      if (directive.has_value || policy.include_subdomains) return std::nullopt;
      policy.include_subdomains = true;
    }
  }
  return has_max_age ? std::optional(policy) : std::nullopt;
}

void HstsStore::note(const http::Url& url, const http::FieldSection& response, core::UnixTime now) {
  if (url.scheme() != http::Scheme::Https) return;
  const auto value = response.find(http::FieldName::StrictTransportSecurity);
  const auto policy = value ? parse_strict_transport_security(*value) : std::nullopt;
  std::string host = canonical(url.host());
  if (!policy || net::IpAddress::parse(host)) return;
  if (policy->max_age == 0) {
    hosts_.erase(host);
  } else {
    put(std::move(host), {now, *policy});
  }
}

bool HstsStore::is_known(std::string_view host, core::UnixTime now) const {
  const std::string name = canonical(host);
  if (net::IpAddress::parse(name)) return false;
  for (size_t begin = 0;;) {
    const auto found = hosts_.find(std::string_view(name).substr(begin));
    if (found != hosts_.end() && found->second.expires() > now && (begin == 0 || found->second.policy.include_subdomains)) {
      return true;
    }
    const size_t dot = name.find('.', begin);
    if (dot == std::string::npos) return false;
    begin = dot + 1;
  }
}

http::Url HstsStore::upgrade(const http::Url& url, core::UnixTime now) const {
  if (url.scheme() == http::Scheme::Https || !is_known(url.host(), now)) return url;
  auto secure = http::Url::parse("https://" + std::string(url.authority()) + std::string(url.target()));
  return secure ? std::move(*secure) : url;
}

size_t HstsStore::read(std::string_view text, core::UnixTime now) {
  size_t refused = 0;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    const std::string_view host = take_word(line);
    const auto port = net::parse_port(take_word(line));
    const std::string_view below = take_word(line);
    const auto created = seconds(take_word(line)), max_age = seconds(take_word(line));
    if (!http::is_valid_host(host) || net::IpAddress::parse(host) || !port || (below != "0" && below != "1") || !created ||
        !max_age || !take_word(line).empty()) {
      ++refused;
      continue;
    }
    const Entry entry{std::min(*created, now), {*max_age, below == "1"}};
    if (entry.expires() <= now) continue;
    std::string name = canonical(host);
    const auto known = hosts_.find(name);
    if (known == hosts_.end() || known->second.created <= entry.created) put(std::move(name), entry);
  }
  return refused;
}

std::string HstsStore::write(core::UnixTime now) const {
  std::string out =
      "# HSTS 1.0 Known Hosts database for GNU Wget.\n"
      "# Written by tributary. Edit at your own risk.\n"
      "# <hostname>\t<port>\t<incl. subdomains>\t<created>\t<max-age>\n";
  for (const auto& [host, entry] : hosts_) {
    if (entry.expires() <= now) continue;
    out.append(host).append(entry.policy.include_subdomains ? "\t0\t1\t" : "\t0\t0\t");
    out.append(std::to_string(entry.created)).append("\t").append(std::to_string(entry.policy.max_age)).append("\n");
  }
  return out;
}

void HstsStore::put(std::string host, const Entry& entry) {
  hosts_[std::move(host)] = entry;
  if (hosts_.size() <= kMaxHosts) return;
  hosts_.erase(std::min_element(hosts_.begin(), hosts_.end(),
                                [](const auto& a, const auto& b) { return a.second.expires() < b.second.expires(); }));
}

}  // namespace tributary::fetch

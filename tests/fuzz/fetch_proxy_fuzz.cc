// A list of no_proxy, a host and a proxy's address.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fetch/proxy_choice.h"

using namespace tributary;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view host = text.substr(0, text.find('\n'));
  const std::string_view list = text.substr(std::min(host.size() + 1, text.size()));
  const bool direct = fetch::bypasses_proxy(list, host, 80);
  require(!direct || !list.empty());
  require(fetch::bypasses_proxy(std::string(list) + ",*", host, 80));
  require(fetch::bypasses_proxy(std::string(list) + " x.org:81", "a.X.org.", 81));
  std::string why;
  const upstream::RoutePtr proxy = upstream::parse_route(text, why);
  require((proxy != nullptr) == why.empty());
  if (proxy) require(proxy->port != 0 && http::is_valid_host(proxy->host));
  return 0;
}

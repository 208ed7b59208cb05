// HTTP Strict Transport Security (RFC 6797): hosts that want https alone, remembered across runs in the file format of wget.
//
// Hosts are compared as whole names without a final dot (curl's CVE-2022-30115 and CVE-2022-42916 were other spellings of one host).
// Every host has its own entry, and none changes another's (CVE-2024-9681). Bounded by kMaxHosts: what expires soonest makes
// room. Loop-affine (plain data: may be moved). No file is touched here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"
#include "http/fields.h"
#include "http/url.h"

namespace tributary::fetch {

struct HstsPolicy {
  int64_t max_age = 0;  // seconds; 0: forget the host
  bool include_subdomains = false;
};

// 6.1: nothing when the field breaks the grammar, has no max-age, or a directive twice: then it is to be ignored as a whole.
std::optional<HstsPolicy> parse_strict_transport_security(std::string_view value);

class HstsStore {
 public:
  static constexpr size_t kMaxHosts = 10000;

  // What a response from `url` says, by its first such field (8.1). To be called only if the connection was TLS without any
  // certificate error or warning that was overridden; plain http and IP addresses are passed over here.
  void note(const http::Url& url, const http::FieldSection& response, core::UnixTime now);

  // 8.2: itself, or a domain above that includes what is below it.
  bool is_known(std::string_view host, core::UnixTime now) const;

  // `url` as it is to be fetched (8.3): https for a known host, port 80 becoming 443, any other port staying.
  http::Url upgrade(const http::Url& url, core::UnixTime now) const;

  // Lines "host port include_subdomains created max-age" as wget has them. A port other than 0 counts for the whole host, as
  // RFC 6797 knows nothing else. Adds to what is there, of two entries the one made later. How many lines were no entries.
  size_t read(std::string_view text, core::UnixTime now);
  std::string write(core::UnixTime now) const;

  size_t size() const { return hosts_.size(); }

 private:
  struct Entry {
    core::UnixTime created = 0;
    HstsPolicy policy;
    core::UnixTime expires() const { return created + policy.max_age; }
  };
  void put(std::string host, const Entry& entry);

  std::map<std::string, Entry, std::less<>> hosts_;
};

}  // namespace tributary::fetch

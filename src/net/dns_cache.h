// What the resolver remembers: answers and failures, each until its time, at most `capacity` names (least recently used
// out first). Sans-I/O: time is a parameter. Loop-affine.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "net/address.h"

namespace tributary::net {

// Shared between the cache and the connects under way, never changed; never null and never empty in an Answer.
using AddressList = std::shared_ptr<const std::vector<IpAddress>>;
// Errors: NameNotFound, DnsFailure, DnsTimeout.
using DnsAnswer = core::Result<AddressList>;

struct DnsCacheSettings {
  std::chrono::seconds min_ttl{0};
  std::chrono::seconds max_ttl{std::chrono::hours(24)};
  std::chrono::seconds negative_ttl{10};  // for names that do not exist; failures are kept for at most kFailureTtl
  size_t capacity = 10000;
};

class DnsCache {
 public:
  // RFC 9520 3.2: a failed resolution must be remembered for at least a second.
  static constexpr std::chrono::seconds kFailureTtl{1};

  explicit DnsCache(const DnsCacheSettings& settings) : settings_(settings) {}

  struct Hit {
    const DnsAnswer* answer;  // valid until the next put
    bool refresh;             // in the last tenth of its life and not asked before: fetch it anew in the background
  };
  // Null answer: unknown or out of date.
  Hit find(std::string_view name, core::TimePoint now);
  // `ttl` as the answer says; clamped to [min_ttl, max_ttl]. Failures do not replace an answer that is still good.
  void put(std::string_view name, DnsAnswer answer, std::chrono::seconds ttl, core::TimePoint now);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string name;
    DnsAnswer answer;
    core::TimePoint expires;
    core::TimePoint refresh_at;
  };
  DnsCacheSettings settings_;
  std::list<Entry> lru_;  // most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> entries_;  // keys are views of Entry::name
};

}  // namespace tributary::net

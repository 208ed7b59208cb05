// The resolver: names to addresses, asynchronously, on one c-ares channel per worker. Loop-affine. resolver.cc
// is the only file that includes ares.h.
//
//   if (auto answer = resolver.cached(host)) return connect(*answer);   // literal, localhost, hosts file or cache
//   resolver.lookup(lookup_, host, Callback<void(const Resolver::Answer&)>::to<&Fetch::on_resolved>(this));
//
// A and AAAA are asked for in parallel. Equal names under way share one query. At most kMaxAsked questions are out at a
// time, other names wait their turn in order (c-ares 1.18 loses replies when a burst overflows its socket's buffer); of
// those at most kMaxWaiting, further ones fail at once with DnsFailure. A question that has had no reply for kOverdue is
// no part of a burst any more and makes room, so that names whose servers are dead do not hold the others up; kMaxOverdue
// bounds the memory that those take.
// The hosts file is read by us, never on the loop (c-ares would open it on every look-up). Names that cannot exist (no
// DNS name by syntax; .onion and .invalid; names that end in a number, like 127.1 or 0x7f.1) are answered NameNotFound
// without asking, "localhost" and below it with the loopback addresses (RFC 6761 6.3, RFC 7686).
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/loop.h"
#include "core/metrics.h"
#include "core/offload.h"
#include "core/result.h"
#include "net/address.h"
#include "net/address_order.h"
#include "net/dns_cache.h"
#include "net/hosts_file.h"

namespace tributary::net {

struct ResolverSettings {
  std::vector<std::string> servers;  // "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:53"; empty: resolv.conf
  std::string hosts_file = "/etc/hosts";  // empty: none
  core::Duration hosts_check = std::chrono::seconds(5);  // looked at for a change at most that often
  DnsCacheSettings cache;
  Prefer prefer = Prefer::Auto;
  core::Duration timeout = std::chrono::seconds(5);  // of one look-up, all tries and servers together
};

class Resolver {
  struct Query;
  struct Batch;

 public:
  struct Answer {
    DnsAnswer addresses;      // in the order to try them
    bool is_partial = false;  // the other family's answer is still to come (RFC 8305 3: it is not waited for long)
  };
  enum class Want : uint8_t {
    Soon,   // the first usable answer: both families, or one and the resolution delay later
    Whole,  // never a partial answer: to go on after one
  };

  // A look-up under way, a pinned member of whoever waits for it; destroying it cancels.
  class Lookup {
   public:
    Lookup() = default;
    ~Lookup() { cancel(); }
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;
    void cancel();
    bool is_active() const { return link_ != nullptr; }

   private:
    friend class Resolver;
    Lookup* next_ = nullptr;
    Lookup** link_ = nullptr;  // the pointer that points at us
    Want want_ = Want::Soon;
    core::Callback<void(const Answer&)> callback_;
  };

  // Reads resolv.conf (without `servers`) and the hosts file: make it before the loop runs. `offload` and `metrics`
  // outlive it. Settings that check() refuses leave it without servers: every look-up fails.
  Resolver(core::Loop& loop, core::OffloadPool& offload, core::Registry& metrics, const ResolverSettings& settings);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // InvalidArgument when an entry of `servers` is not an IP address with an optional port.
  static core::Result<void> check(const ResolverSettings& settings);

  // What is known now, without waiting: literals, localhost, hosts file, cache (also negative). A hit in the cache is
  // counted here; when it returns nullopt, the following lookup() counts the miss.
  std::optional<DnsAnswer> cached(std::string_view host);

  // Always calls back later, never from inside this call, and once. `host`: a name, or the text of an IP without brackets.
  // A lookup that is active is cancelled first. The resolver outlives its lookups.
  void lookup(Lookup& lookup, std::string_view host, core::Callback<void(const Answer&)> callback,
              Want want = Want::Soon);

  static constexpr size_t kMaxAsked = 200;  // questions under way in c-ares; a name is two, A and AAAA
  static constexpr size_t kMaxWaiting = 4096;  // names
  static constexpr core::Duration kOverdue = std::chrono::milliseconds(250);
  static constexpr size_t kMaxOverdue = 4000;  // questions
  static constexpr core::Duration kResolutionDelay = std::chrono::milliseconds(50);  // RFC 8305 8
  size_t watched_descriptors() const { return sockets_.size(); }
  size_t queries_under_way() const { return queries_.size(); }

 private:
  struct Ares;  // what the C library calls
  struct Ask;
  struct Socket;
  struct HostsReload;

  std::optional<DnsAnswer> without_asking(std::string_view host, std::string_view name);
  Query& query_for(std::string_view name);
  void begin(Query& query);
  void begin_waiting();
  void set_overdue(Query& query);
  void on_answer(Query& query, int status, const void* info);
  void offer_partial(Query& query);
  void finish(Query& query);
  void forget(Query& query);
  void deliver(Lookup*& waiters, Answer answer);
  void on_ready();
  void on_socket_state(int fd, bool readable, bool writable);
  void on_timeout();
  void process(int read_fd, int write_fd);
  void arm_timer();
  void check_hosts_file();
  void on_hosts_file();
  AddressList ordered(std::vector<IpAddress> addresses);

  core::Loop& loop_;
  core::OffloadPool& offload_;
  ResolverSettings settings_;
  DnsCache cache_;
  void* channel_ = nullptr;  // an ares_channel

  std::unordered_map<int, std::unique_ptr<Socket>> sockets_;
  std::unordered_map<std::string_view, std::unique_ptr<Query>> queries_;  // keys are views of Query::name
  std::deque<Query*> waiting_;
  size_t asked_ = 0;    // questions that count towards kMaxAsked
  size_t overdue_ = 0;  // and those that do not any more

  std::list<Batch> batches_;  // answers to give out
  core::Deferred deliver_;

  std::shared_ptr<const HostsFile> hosts_;
  std::shared_ptr<HostsReload> hosts_reload_;  // shared with the job, which may outlive us
  core::Job hosts_job_;
  core::TimePoint hosts_checked_;
  bool ipv6_usable_ = false;
  core::TimePoint route_checked_;

  core::Timer timer_;
  std::array<core::Counter*, 4> results_{};  // tributary_dns_queries_total{result}
  core::Counter& hits_;
  core::Counter& negative_hits_;
  core::Counter& misses_;
  core::Counter& coalesced_;
  core::Histogram& query_duration_;
};

}  // namespace tributary::net

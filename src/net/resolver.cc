#include "net/resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/log.h"

namespace tributary::net {
namespace {

constexpr core::Duration kRouteCheckInterval = std::chrono::seconds(10);
constexpr int kTries = 3;
constexpr std::array<std::string_view, 4> kResults = {"ok", "not_found", "timeout", "failure"};

core::Error dns_error(core::ErrorCode code, int status = 0) {
  return {.code = code, .side = core::Side::Origin, .retry = core::Retry::Safe, .detail = static_cast<uint8_t>(status),
          .sys = 0};
}

// A host in the cache's form, lower case and without the trailing dot, on the stack. Empty when it cannot be the name of
// a host: the limits of RFC 1035 2.3.4; letters, digits, hyphens, and the underscore that the world uses.
class Name {
 public:
  explicit Name(std::string_view host) {
    if (host.ends_with('.')) host.remove_suffix(1);
    if (host.empty() || host.size() > 253) return;
    size_t label = 0;
    for (size_t i = 0; i < host.size(); ++i) {
      const char c = host[i];
      const bool is_upper = c >= 'A' && c <= 'Z';
      if (!is_upper && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.') return;
      if (c == '.') {
        if (label == 0) return;
        label = 0;
      } else if (++label > 63) {
        return;
      }
      text_[i] = is_upper ? static_cast<char>(c + 32) : c;
    }
    if (label > 0) size_ = host.size();
  }
  std::string_view view() const { return {text_.data(), size_}; }

 private:
  std::array<char, 253> text_;
  size_t size_ = 0;
};

bool is_or_below(std::string_view name, std::string_view domain) {
  return name.ends_with(domain) && (name.size() == domain.size() || name[name.size() - domain.size() - 1] == '.');
}

// The last label is a decimal or 0x number: some parsers take such names for IPv4 addresses (127.1, 0x7f000001), and
// no top-level domain looks so (RFC 3696 2).
bool ends_in_number(std::string_view name) {
  std::string_view last = name.substr(name.rfind('.') + 1);  // npos + 1 is 0: the whole name
  const bool hex = last.starts_with("0x");
  if (hex) last.remove_prefix(2);
  return std::all_of(last.begin(), last.end(), [hex](char c) {
    return (c >= '0' && c <= '9') || (hex && c >= 'a' && c <= 'f');
  });
}

std::optional<std::string> server_text(const std::string& entry) {
  if (const auto ip = IpAddress::parse(entry)) return ip->is_v6() ? "[" + entry + "]:53" : entry + ":53";
  const auto address = SocketAddress::parse(entry);
  if (!address || !address->is_ip() || address->port() == 0) return {};
  return address->to_string();
}

}  // namespace

// One name that is being asked for.
struct Resolver::Query {
  Query(Resolver& resolver, std::string_view text)
      : owner(resolver), name(text), deadline(resolver.loop_), delay(resolver.loop_), overdue(resolver.loop_) {}
  void on_deadline() {
    gave_up = true;
    owner.finish(*this);
  }
  void on_delay() { owner.offer_partial(*this); }
  void on_overdue() {
    owner.set_overdue(*this);
    owner.begin_waiting();
  }

  Resolver& owner;
  std::string name;
  Lookup* waiters = nullptr;
  std::array<Ask*, 2> asks{};
  int pending = 0;
  bool begun = false;
  bool gave_up = false;
  bool not_found = false;  // NXDOMAIN: holds for both families
  int failures = 0;
  int failure_status = 0;
  std::vector<IpAddress> addresses;
  std::chrono::seconds ttl = std::chrono::seconds::max();
  AddressList partial;
  core::TimePoint started;
  core::Timer deadline;
  core::Timer delay;  // the resolution delay
  core::Timer overdue;
};

// One question inside c-ares, which calls back exactly once; the query may be gone by then.
struct Resolver::Ask {
  Resolver& owner;
  Query* query;
  bool is_overdue = false;
};

struct Resolver::Batch {
  Lookup* waiters = nullptr;
  Answer answer;
};

struct Resolver::Socket {
  Socket(Resolver& resolver, int descriptor) : owner(resolver), fd(descriptor), watcher(resolver.loop_) {}
  void on_ready(core::Interest ready) {
    // c-ares may close the socket, and so destroy us, inside.
    owner.process(core::has(ready, core::Interest::Read) ? fd : ARES_SOCKET_BAD,
                  core::has(ready, core::Interest::Write) ? fd : ARES_SOCKET_BAD);
  }
  Resolver& owner;
  int fd;
  core::IoWatcher watcher;
};

struct Resolver::HostsReload {
  std::shared_ptr<const HostsFile> fresh;  // null: as it was
};

struct Resolver::Ares {
  static void on_state(void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<Resolver*>(self)->on_socket_state(fd, readable != 0, writable != 0);
  }

  static void on_addrinfo(void* argument, int status, int /*timeouts*/, ares_addrinfo* info) {
    const std::unique_ptr<Ask> ask(static_cast<Ask*>(argument));
    --(ask->is_overdue ? ask->owner.overdue_ : ask->owner.asked_);
    if (ask->query) {
      std::replace(ask->query->asks.begin(), ask->query->asks.end(), ask.get(), static_cast<Ask*>(nullptr));
      ask->owner.on_answer(*ask->query, status, info);
    }
    if (info) ares_freeaddrinfo(info);
  }

  // Our own sockets: non-blocking and close-on-exec from birth, and a receive buffer that holds a burst of replies.
  static ares_socket_t open(int domain, int type, int protocol, void*) {
    const int fd = ::socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    const int size = 1 << 20;
    if (fd >= 0 && type == SOCK_DGRAM) ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    return fd;
  }
  static int close(ares_socket_t fd, void*) { return ::close(fd); }
  static int connect(ares_socket_t fd, const sockaddr* address, ares_socklen_t length, void*) {
    return ::connect(fd, address, length);
  }
  static ares_ssize_t receive(ares_socket_t fd, void* data, size_t size, int flags, sockaddr* from,
                              ares_socklen_t* length, void*) {
    return ::recvfrom(fd, data, size, flags, from, length);
  }
  static ares_ssize_t send(ares_socket_t fd, const iovec* parts, int count, void*) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = static_cast<size_t>(count);
    return ::sendmsg(fd, &message, MSG_NOSIGNAL);
  }
  static constexpr ares_socket_functions kSockets{open, close, connect, receive, send};

  static ares_channel channel(const Resolver& resolver) { return static_cast<ares_channel>(resolver.channel_); }
};

void Resolver::Lookup::cancel() {
  if (!link_) return;
  *link_ = next_;
  if (next_) next_->link_ = link_;
  link_ = nullptr;
}

core::Result<void> Resolver::check(const ResolverSettings& settings) {
  for (const std::string& entry : settings.servers) {
    if (!server_text(entry)) return core::Error{.code = core::ErrorCode::InvalidArgument};
  }
  return {};
}

Resolver::Resolver(core::Loop& loop, core::OffloadPool& offload, core::Registry& metrics,
                   const ResolverSettings& settings)
    : loop_(loop),
      offload_(offload),
      settings_(settings),
      cache_(settings.cache),
      deliver_(loop),
      hosts_(HostsFile::read(settings.hosts_file)),
      hosts_checked_(loop.now()),
      route_checked_(loop.now()),
      timer_(loop),
      hits_(metrics.counters("tributary_dns_cache_total", "Look-ups in the DNS cache", {"result"}).with({"hit"})),
      negative_hits_(metrics.counters("tributary_dns_cache_total", "", {"result"}).with({"negative_hit"})),
      misses_(metrics.counters("tributary_dns_cache_total", "", {"result"}).with({"miss"})),
      coalesced_(metrics.counters("tributary_dns_cache_total", "", {"result"}).with({"coalesced"})),
      query_duration_(metrics.histogram("tributary_dns_query_duration_seconds", "Time to answer a name that was asked for")) {
  auto& results = metrics.counters("tributary_dns_queries_total", "Names asked for, by how it ended", {"result"});
  for (size_t i = 0; i < kResults.size(); ++i) results_[i] = &results.with({std::string(kResults[i])});
  ipv6_usable_ = has_ipv6_route();

  ares_options options{};
  char lookups[] = "b";  // DNS only: c-ares would open the hosts file on the loop for every look-up
  options.lookups = lookups;
  options.flags = ARES_FLAG_NOALIASES;  // $HOSTALIASES is another file it would open
  // Three tries whose time doubles: 1 + 2 + 4 sevenths of the whole, with one server.
  const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(settings.timeout).count();
  options.timeout = static_cast<int>(std::clamp<long>(static_cast<long>(whole) / 7, 200, 2000));
  options.tries = kTries;
  options.sock_state_cb = Ares::on_state;
  options.sock_state_cb_data = this;
  ares_channel channel = nullptr;
  const int status = ares_init_options(&channel, &options,
                                       ARES_OPT_LOOKUPS | ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                           ARES_OPT_SOCK_STATE_CB);
  if (status != ARES_SUCCESS) {
    core::log::error("dns", "no resolver: {}", ares_strerror(status));
    return;
  }
  channel_ = channel;
  ares_set_socket_functions(channel, &Ares::kSockets, nullptr);
  if (settings.servers.empty()) return;
  std::string servers;
  for (const std::string& entry : settings.servers) {
    if (!servers.empty()) servers += ',';
    servers += server_text(entry).value_or("");
  }
  if (!check(settings) || ares_set_servers_ports_csv(channel, servers.c_str()) != ARES_SUCCESS) {
    core::log::error("dns", "dns.servers has an entry that is not an IP address with an optional port");
    ares_destroy(channel);
    channel_ = nullptr;
  }
}

Resolver::~Resolver() {
  for (auto& [name, query] : queries_) {
    for (Ask* ask : query->asks) {
      if (ask) ask->query = nullptr;
    }
  }
  if (channel_) ares_destroy(Ares::channel(*this));  // calls back for every ask, and about every socket
  for (auto& [name, query] : queries_) {
    while (query->waiters) query->waiters->cancel();
  }
  for (Batch& batch : batches_) {
    while (batch.waiters) batch.waiters->cancel();
  }
}

AddressList Resolver::ordered(std::vector<IpAddress> addresses) {
  if (loop_.now() - route_checked_ >= kRouteCheckInterval) {
    route_checked_ = loop_.now();
    ipv6_usable_ = has_ipv6_route();
  }
  return std::make_shared<const std::vector<IpAddress>>(
      order_addresses(std::move(addresses), settings_.prefer, ipv6_usable_));
}

std::optional<DnsAnswer> Resolver::without_asking(std::string_view host, std::string_view name) {
  if (const auto ip = IpAddress::parse(host)) {
    return DnsAnswer(std::make_shared<const std::vector<IpAddress>>(1, *ip));
  }
  if (name.empty() || ends_in_number(name)) return DnsAnswer(dns_error(core::ErrorCode::NameNotFound));
  if (is_or_below(name, "localhost")) {
    std::array<uint8_t, 16> loopback{};
    loopback[15] = 1;
    return DnsAnswer(ordered({IpAddress::v6(loopback), IpAddress::v4(0x7f000001)}));
  }
  if (is_or_below(name, "onion") || is_or_below(name, "invalid")) {
    return DnsAnswer(dns_error(core::ErrorCode::NameNotFound));
  }
  check_hosts_file();
  if (const auto* addresses = hosts_->find(name)) return DnsAnswer(ordered(*addresses));
  return {};
}

std::optional<DnsAnswer> Resolver::cached(std::string_view host) {
  const Name name(host);
  if (auto known = without_asking(host, name.view())) return known;
  const DnsCache::Hit hit = cache_.find(name.view(), loop_.now());
  if (!hit.answer) return {};
  (*hit.answer ? hits_ : negative_hits_).add();
  DnsAnswer answer = *hit.answer;
  if (hit.refresh && !queries_.contains(name.view())) begin(query_for(name.view()));
  return answer;
}

void Resolver::lookup(Lookup& lookup, std::string_view host, core::Callback<void(const Answer&)> callback,
                      Want want) {
  loop_.assert_in_loop();
  lookup.cancel();
  lookup.callback_ = callback;
  lookup.want_ = want;
  const auto join = [&lookup](Lookup*& list) {
    lookup.next_ = list;
    if (list) list->link_ = &lookup.next_;
    lookup.link_ = &list;
    list = &lookup;
  };
  if (auto known = cached(host)) {
    Lookup* alone = nullptr;
    join(alone);
    deliver(alone, {*std::move(known), false});
    return;
  }
  const Name name(host);
  const auto found = queries_.find(name.view());
  if (found == queries_.end()) {
    misses_.add();
    if (waiting_.size() >= kMaxWaiting) {
      results_[3]->add();
      Lookup* alone = nullptr;
      join(alone);
      deliver(alone, {dns_error(core::ErrorCode::DnsFailure), false});
      return;
    }
    Query& query = query_for(name.view());
    join(query.waiters);
    begin(query);
    return;
  }
  coalesced_.add();
  Query& query = *found->second;
  if (query.partial && want == Want::Soon) {
    Lookup* alone = nullptr;
    join(alone);
    deliver(alone, {query.partial, true});
  } else {
    join(query.waiters);
  }
}

Resolver::Query& Resolver::query_for(std::string_view name) {
  auto query = std::make_unique<Query>(*this, name);
  Query& made = *query;
  queries_.emplace(made.name, std::move(query));
  made.started = loop_.now();
  made.deadline.start(settings_.timeout, core::Callback<void()>::to<&Query::on_deadline>(&made));
  return made;
}

void Resolver::begin(Query& query) {
  if (asked_ + 2 > kMaxAsked) {
    waiting_.push_back(&query);
    return;
  }
  query.begun = true;
  if (!channel_) {
    query.failures = 1;
    finish(query);
    return;
  }
  // A name with a dot is meant as it stands; one without may be completed from resolv.conf's search list.
  const std::string text = query.name.find('.') == std::string::npos ? query.name : query.name + '.';
  query.pending = 2;
  asked_ += 2;
  query.overdue.start(kOverdue, core::Callback<void()>::to<&Query::on_overdue>(&query));
  for (size_t i = 0; i < 2; ++i) query.asks[i] = new Ask{.owner = *this, .query = &query};  // owned by c-ares until it calls back
  Ask* const asks[2] = {query.asks[0], query.asks[1]};
  for (size_t i = 0; i < 2; ++i) {
    ares_addrinfo_hints hints{};
    hints.ai_family = i == 0 ? AF_INET6 : AF_INET;  // RFC 8305 3: AAAA first, A right behind it
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = ARES_AI_NOSORT;  // we sort; c-ares would open and connect a socket for each address
    // May call back before it returns; the query is finished, and gone, only with the second answer.
    ares_getaddrinfo(Ares::channel(*this), text.c_str(), nullptr, &hints, Ares::on_addrinfo, asks[i]);
  }
  arm_timer();
}

void Resolver::begin_waiting() {
  while (!waiting_.empty() && asked_ + 2 <= kMaxAsked) {
    Query* query = waiting_.front();
    waiting_.pop_front();
    if (query->waiters) {
      begin(*query);
    } else {
      forget(*query);  // whoever asked has gone
    }
  }
}

void Resolver::set_overdue(Query& query) {
  for (Ask* ask : query.asks) {
    if (!ask || ask->is_overdue || overdue_ >= kMaxOverdue) continue;
    ask->is_overdue = true;
    --asked_;
    ++overdue_;
  }
}

void Resolver::on_answer(Query& query, int status, const void* addrinfo) {
  --query.pending;
  const auto* info = static_cast<const ares_addrinfo*>(addrinfo);
  size_t added = 0;
  bool has_v6 = false;
  if (status == ARES_SUCCESS && info) {
    for (const ares_addrinfo_node* node = info->nodes; node; node = node->ai_next) {
      sockaddr_storage storage{};
      std::copy_n(reinterpret_cast<const char*>(node->ai_addr), node->ai_addrlen, reinterpret_cast<char*>(&storage));
      // Not SocketAddress::from: a v4-mapped AAAA stays what it is, and is classified by what it embeds.
      if (node->ai_family == AF_INET) {
        query.addresses.push_back(SocketAddress::from(storage, node->ai_addrlen).ip());
      } else {
        std::array<uint8_t, 16> bytes;
        std::copy_n(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr.s6_addr, 16, bytes.begin());
        query.addresses.push_back(IpAddress::v6(bytes));
        has_v6 = true;
      }
      query.ttl = std::min(query.ttl, std::chrono::seconds(std::max(node->ai_ttl, 0)));
      ++added;
    }
    for (const ares_addrinfo_cname* alias = info->cnames; alias; alias = alias->next) {
      query.ttl = std::min(query.ttl, std::chrono::seconds(std::max(alias->ttl, 0)));
    }
  } else if (status == ARES_ENOTFOUND) {
    query.not_found = true;
  } else if (status != ARES_ENODATA) {
    ++query.failures;
    query.failure_status = status;
  }
  if (query.pending == 0) {
    finish(query);
  } else if (added > 0) {
    // RFC 8305 3: with IPv6 addresses at hand connecting may begin at once; IPv4 alone waits a moment for IPv6.
    if (has_v6 && settings_.prefer != Prefer::Ipv4 && (ipv6_usable_ || settings_.prefer == Prefer::Ipv6)) {
      offer_partial(query);
    } else {
      query.delay.start(kResolutionDelay, core::Callback<void()>::to<&Query::on_delay>(&query));
    }
  }
}

void Resolver::offer_partial(Query& query) {
  query.partial = ordered(query.addresses);
  Lookup* ready = nullptr;
  for (Lookup* waiter = query.waiters; waiter;) {
    Lookup* const next = waiter->next_;
    if (waiter->want_ == Want::Soon) {
      waiter->cancel();
      waiter->next_ = ready;
      if (ready) ready->link_ = &waiter->next_;
      waiter->link_ = &ready;
      ready = waiter;
    }
    waiter = next;
  }
  if (ready) deliver(ready, {query.partial, true});
}

void Resolver::finish(Query& query) {
  set_overdue(query);  // what c-ares still waits for, nobody else does
  for (Ask*& ask : query.asks) {
    if (ask) ask->query = nullptr;
  }
  if (!query.begun) waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &query));  // the oldest: found at once

  size_t result = 0;  // of kResults
  DnsAnswer answer = dns_error(core::ErrorCode::NameNotFound);
  if (!query.addresses.empty()) {
    answer = ordered(std::move(query.addresses));
  } else if (query.not_found || (!query.gave_up && query.failures == 0)) {
    result = 1;
  } else if (query.gave_up || query.failure_status == ARES_ETIMEOUT) {
    result = 2;
    answer = dns_error(core::ErrorCode::DnsTimeout, query.failure_status);
  } else {
    result = 3;
    answer = dns_error(core::ErrorCode::DnsFailure, query.failure_status);
  }
  results_[result]->add();
  query_duration_.observe(loop_.now() - query.started);
  // Half an answer is as good as its half's TTL, but the missing half should be asked for again soon.
  const bool is_half = answer.ok() && (query.failures > 0 || query.gave_up);
  cache_.put(query.name, answer, is_half ? std::min(query.ttl, std::chrono::seconds(30)) : query.ttl, loop_.now());
  deliver(query.waiters, {std::move(answer), false});
  forget(query);
}

void Resolver::forget(Query& query) {
  const auto at = queries_.find(query.name);
  const std::unique_ptr<Query> gone = std::move(at->second);  // its name is the key: erase first, destroy after
  queries_.erase(at);
}

// Moves the waiters to a batch that is called after the current callbacks: whoever is answered may start look-ups,
// cancel others or end its life without meeting c-ares half-way through its lists.
void Resolver::deliver(Lookup*& waiters, Answer answer) {
  if (waiters) {
    Batch& batch = batches_.emplace_back(Batch{waiters, std::move(answer)});
    batch.waiters->link_ = &batch.waiters;
    waiters = nullptr;
  }
  deliver_.schedule(core::Callback<void()>::to<&Resolver::on_ready>(this));
}

void Resolver::on_ready() {
  while (!batches_.empty()) {
    Batch& batch = batches_.front();
    while (batch.waiters) {
      Lookup& lookup = *batch.waiters;
      lookup.cancel();
      const auto callback = lookup.callback_;
      callback(batch.answer);
    }
    batches_.pop_front();
  }
  begin_waiting();
}

void Resolver::on_socket_state(int fd, bool readable, bool writable) {
  if (!readable && !writable) {
    sockets_.erase(fd);
    return;
  }
  auto& socket = sockets_[fd];
  const core::Interest interest = (readable ? core::Interest::Read : core::Interest::None) |
                                  (writable ? core::Interest::Write : core::Interest::None);
  if (socket) {
    socket->watcher.set(interest);
  } else {
    socket = std::make_unique<Socket>(*this, fd);
    socket->watcher.start(fd, interest, core::Callback<void(core::Interest)>::to<&Socket::on_ready>(socket.get()));
  }
}

void Resolver::process(int read_fd, int write_fd) {
  ares_process_fd(Ares::channel(*this), read_fd, write_fd);
  arm_timer();
  if (!waiting_.empty()) deliver_.schedule(core::Callback<void()>::to<&Resolver::on_ready>(this));
}

void Resolver::on_timeout() { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

void Resolver::arm_timer() {
  timeval wait{};
  if (!ares_timeout(Ares::channel(*this), nullptr, &wait)) {
    timer_.stop();
    return;
  }
  timer_.start(std::chrono::seconds(wait.tv_sec) + std::chrono::microseconds(wait.tv_usec),
               core::Callback<void()>::to<&Resolver::on_timeout>(this));
}

void Resolver::check_hosts_file() {
  if (settings_.hosts_file.empty() || hosts_job_) return;
  if (loop_.now() - hosts_checked_ < settings_.hosts_check) return;
  hosts_checked_ = loop_.now();
  hosts_reload_ = std::make_shared<HostsReload>();
  hosts_job_ = offload_.submit(
      loop_,
      [reload = hosts_reload_, path = settings_.hosts_file, have = hosts_->stamp()] {
        if (HostsFile::stamp(path) != have) reload->fresh = HostsFile::read(path);
      },
      core::Callback<void()>::to<&Resolver::on_hosts_file>(this));
}

void Resolver::on_hosts_file() {
  if (hosts_reload_->fresh) hosts_ = std::move(hosts_reload_->fresh);
  hosts_reload_.reset();
  hosts_job_ = {};
}

}  // namespace tributary::net

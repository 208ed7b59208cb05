#include "upstream/pool.h"

#include <algorithm>
#include <utility>

namespace tributary::upstream {
namespace {

constexpr core::Duration kSweepMax = std::chrono::seconds(5), kSweepMin = std::chrono::milliseconds(20);

}  // namespace

Pool::Waiter::~Waiter() {
  if (connection_) pool_.put(host_, std::move(connection_));
}

void Pool::Waiter::wait(core::Callback<void()> ready) {
  ready_ = ready;
  Ticket::wait(host_.origin, ready);
}

Pool::Pool(core::Loop& loop, Quota& quota, const UpstreamSettings& settings)
    : loop_(loop),
      quota_(quota),
      settings_(settings),
      member_(loop, quota, core::Callback<void()>::to<&Pool::on_demand>(this)),
      sweep_(loop) {}

Pool::~Pool() { close(); }

PoolHost& Pool::host(const Origin& origin) {
  const auto [at, is_new] = hosts_.try_emplace(origin);
  if (is_new) {
    at->second.origin = origin;
    if (!sweep_.is_running()) {
      sweep_.start(kSweepMin, core::Callback<void()>::to<&Pool::on_sweep>(this));
    }
  }
  return at->second;
}

ConnectionPtr Pool::take(Host& host) {
  while (!host.idle.empty()) {
    ConnectionPtr connection = remove(host, host.idle.size() - 1);
    if (is_expired(*connection) || !connection->is_silent()) continue;
    connection->use();
    return connection;
  }
  return nullptr;
}

void Pool::put(Host& host, ConnectionPtr connection) {
  connection->set_owner({});
  connection->parser().release();
  if (closed_ || settings_.max_idle_per_host == 0) return;
  if (settings_.max_age > core::Duration::zero() && loop_.now() - connection->opened() >= settings_.max_age) return;
  keep_or_pass_on(host, std::move(connection), false);
}

// The quota decides, with the connection counted as idle already.
void Pool::keep_or_pass_on(Host& host, ConnectionPtr connection, bool at_front) {
  count_idle(+1);
  Quota::Ticket* ticket = nullptr;
  switch (quota_.settle_idle(member_, connection->place(), &ticket)) {
    case Quota::Idle::Keep:
      if (connection->state() == ConnectionState::Busy) connection->rest(*this, host, loop_.now());
      // A full house loses its oldest: the newest is the likeliest to be alive.
      if (host.idle.size() >= settings_.max_idle_per_host) remove(host, 0);
      host.idle.insert(at_front ? host.idle.begin() : host.idle.end(), std::move(connection));
      return;
    case Quota::Idle::HandOver: {
      count_idle(-1);
      if (connection->state() == ConnectionState::Idle) connection->use();
      auto& waiter = static_cast<Waiter&>(*ticket);
      waiter.connection_ = std::move(connection);
      waiter.handed_over_.schedule(waiter.ready_);
      return;
    }
    case Quota::Idle::Close: count_idle(-1); return;
  }
}

void Pool::close() {
  closed_ = true;
  for (auto& [origin, host] : hosts_) {
    while (!host.idle.empty()) remove(host, host.idle.size() - 1);
  }
}

bool Pool::is_expired(const Connection& connection) const {
  const core::TimePoint now = loop_.now();
  if (settings_.idle_timeout > core::Duration::zero() && now - connection.idle_since() >= settings_.idle_timeout) {
    return true;
  }
  return settings_.max_age > core::Duration::zero() && now - connection.opened() >= settings_.max_age;
}

ConnectionPtr Pool::remove(Host& host, size_t index) {
  ConnectionPtr connection = std::move(host.idle[index]);
  host.idle.erase(host.idle.begin() + static_cast<ptrdiff_t>(index));
  count_idle(-1);
  return connection;
}

void Pool::count_idle(ptrdiff_t change) {
  idle_count_ = static_cast<size_t>(static_cast<ptrdiff_t>(idle_count_) + change);
  member_.set_idle(idle_count_);
}

// An idle connection that is readable has ended, or says something that nobody asked for. Only TLS may have had
// something to itself (a session ticket).
void Pool::on_idle_ready(Host& host, Connection& connection) {
  if (connection.is_silent()) return;
  for (size_t i = 0; i < host.idle.size(); ++i) {
    if (host.idle[i].get() == &connection) {
      remove(host, i);
      return;
    }
  }
}

void Pool::on_demand() {
  for (auto& [origin, host] : hosts_) {
    while (!host.idle.empty() && quota_.waiting() > 0) {
      const size_t before = host.idle.size();
      keep_or_pass_on(host, remove(host, 0), true);
      if (host.idle.size() == before) break;
    }
  }
}

void Pool::on_sweep() {
  for (auto at = hosts_.begin(); at != hosts_.end();) {
    Host& host = at->second;
    for (size_t i = host.idle.size(); i-- > 0;) {
      if (is_expired(*host.idle[i])) remove(host, i);
    }
    at = host.idle.empty() && host.users == 0 ? hosts_.erase(at) : std::next(at);
  }
  if (hosts_.empty()) return;
  const core::Duration timeout = settings_.idle_timeout > core::Duration::zero() ? settings_.idle_timeout : kSweepMax;
  sweep_.start(std::clamp(timeout / 8, kSweepMin, kSweepMax), core::Callback<void()>::to<&Pool::on_sweep>(this));
}

}  // namespace tributary::upstream

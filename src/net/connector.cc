#include "net/connector.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace tributary::net {

// One connect under way.
struct Connector::Attempt {
  Attempt(Connector& connector, core::Fd socket, const SocketAddress& to)
      : owner(connector), fd(std::move(socket)), address(to), watcher(connector.loop_) {}
  void on_ready(core::Interest) { owner.on_attempt(*this); }

  Connector& owner;
  core::Fd fd;
  SocketAddress address;
  core::IoWatcher watcher;
};

Connector::Connector(core::Loop& loop, Resolver& resolver)
    : loop_(loop), resolver_(resolver), deadline_(loop), attempt_delay_(loop) {}

Connector::~Connector() { cancel(); }

void Connector::cancel() {
  release();
  if (!state_.is(ConnectState::Idle)) state_.become(ConnectState::Idle);
}

// Frees everything that an operation holds; the state stays.
void Connector::release() {
  attempts_.clear();
  candidates_.clear();
  next_candidate_ = 0;
  more_to_come_ = false;
  clock_started_ = false;
  last_error_ = {};
  host_.clear();
  lookup_.cancel();
  deadline_.stop();
  attempt_delay_.stop();
}

std::optional<ConnectResult> Connector::start(std::string_view host, uint16_t port, const ConnectSettings& settings,
                                              AddressFilter filter, Done done) {
  cancel();
  settings_ = settings;
  filter_ = filter;
  done_ = done;
  port_ = port;
  if (const auto answer = resolver_.cached(host)) return resolved(*answer);
  state_.become(ConnectState::Resolving);
  host_ = host;
  resolver_.lookup(lookup_, host, core::Callback<void(const Resolver::Answer&)>::to<&Connector::on_resolved>(this));
  deadline_.start(settings_.dns_timeout, core::Callback<void()>::to<&Connector::on_deadline>(this));
  return {};
}

std::optional<ConnectResult> Connector::start(const SocketAddress& address, const ConnectSettings& settings,
                                              AddressFilter filter, Done done) {
  cancel();
  settings_ = settings;
  filter_ = filter;
  done_ = done;
  if (address.is_none()) return fail({.code = core::ErrorCode::InvalidArgument});
  if (address.is_ip() && filter_ && !filter_(address)) {
    return fail({.code = core::ErrorCode::DestinationProhibited, .side = core::Side::Client});
  }
  candidates_.push_back(address);
  state_.become(ConnectState::Connecting);
  return try_next();
}

// The whole answer, at the beginning or after a look-up.
std::optional<ConnectResult> Connector::resolved(const DnsAnswer& answer) {
  if (!answer) {
    core::Error error = answer.error();
    error.side = settings_.side;
    return fail(error);
  }
  admit(**answer);
  if (candidates_.empty()) {
    if (more_to_come_) return {};  // the other family may pass
    return fail({.code = core::ErrorCode::DestinationProhibited, .side = core::Side::Client});
  }
  state_.become(ConnectState::Connecting);
  return try_next();
}

// Appends what passes the filter and is not on the list yet.
void Connector::admit(const std::vector<IpAddress>& addresses) {
  for (const IpAddress& ip : addresses) {
    const SocketAddress address(ip, port_);
    if (filter_ && !filter_(address)) continue;
    if (std::find(candidates_.begin(), candidates_.end(), address) == candidates_.end()) candidates_.push_back(address);
  }
}

void Connector::on_resolved(const Resolver::Answer& answer) {
  more_to_come_ = answer.is_partial;
  if (more_to_come_) {
    resolver_.lookup(lookup_, host_, core::Callback<void(const Resolver::Answer&)>::to<&Connector::on_resolved>(this),
                     Resolver::Want::Whole);
  }
  if (state_.is(ConnectState::Resolving)) {
    report(resolved(answer.addresses));
    return;
  }
  // The rest of an answer whose first part is being tried.
  if (answer.addresses) admit(**answer.addresses);
  if (attempts_.empty() || !attempt_delay_.is_running()) report(try_next());
}

// Starts the next connect, and further ones as long as they fail at once.
std::optional<ConnectResult> Connector::try_next() {
  while (next_candidate_ < candidates_.size()) {
    const SocketAddress address = candidates_[next_candidate_++];
    if (auto connected = begin_attempt(address)) return connected;
    if (attempts_.empty()) continue;
    if (next_candidate_ < candidates_.size()) {
      attempt_delay_.start(settings_.attempt_delay, core::Callback<void()>::to<&Connector::on_attempt_delay>(this));
    }
    return {};
  }
  if (!attempts_.empty() || more_to_come_) return {};
  return fail(last_error_);
}

// The outcome when it connected at once. A failure leaves `last_error_` and no new attempt.
std::optional<ConnectResult> Connector::begin_attempt(const SocketAddress& address) {
  auto made = make_stream_socket(address, settings_.socket);
  if (!made) {
    note(made.error());
    return {};
  }
  sockaddr_storage storage;
  const socklen_t length = address.to_sockaddr(storage);
  const int result = length == 0 ? (errno = ENAMETOOLONG, -1)
                                 : ::connect(made->get(), reinterpret_cast<const sockaddr*>(&storage), length);
  if (result == 0) {
    release();
    state_.become(ConnectState::Connected);
    return Connected{*std::move(made), address};
  }
  if (errno != EINPROGRESS) {
    // EAGAIN: a Unix listener's queue is full, or no local port is left; neither has anything to wait for.
    note(core::error_from_errno(errno, settings_.side, core::Retry::Safe));
    return {};
  }
  if (!clock_started_) {
    // From here on it is connecting that takes time, no longer the name.
    clock_started_ = true;
    deadline_.start(settings_.connect_timeout, core::Callback<void()>::to<&Connector::on_deadline>(this));
  }
  attempts_.push_back(std::make_unique<Attempt>(*this, *std::move(made), address));
  Attempt& attempt = *attempts_.back();
  attempt.watcher.start(attempt.fd.get(), core::Interest::Write,
                        core::Callback<void(core::Interest)>::to<&Attempt::on_ready>(&attempt));
  return {};
}

// Keeps the most telling error: "no route", what every IPv6 address says on a host without IPv6, does not hide another.
void Connector::note(core::Error error) {
  if (last_error_.sys == 0 || error.code != core::ErrorCode::HostUnreachable) last_error_ = error;
}

void Connector::on_attempt(Attempt& attempt) {
  const int error = take_socket_error(attempt.fd.get());
  if (error == 0) {
    attempt.watcher.stop();
    Connected connected{std::move(attempt.fd), attempt.address};
    release();
    state_.become(ConnectState::Connected);
    report(ConnectResult(std::move(connected)));
    return;
  }
  note(core::error_from_errno(error, settings_.side, core::Retry::Safe));
  std::erase_if(attempts_, [&attempt](const auto& each) { return each.get() == &attempt; });
  // RFC 8305 5: the next address at once when one has failed.
  attempt_delay_.stop();
  report(try_next());
}

void Connector::on_attempt_delay() { report(try_next()); }

void Connector::on_deadline() {
  const bool resolving = state_.is(ConnectState::Resolving);
  report(fail({.code = resolving ? core::ErrorCode::DnsTimeout : core::ErrorCode::ConnectTimeout,
               .side = settings_.side,
               .retry = core::Retry::Safe}));
}

ConnectResult Connector::fail(core::Error error) {
  release();
  state_.become(ConnectState::Failed);
  return error;
}

// The last thing a callback does: `done` may destroy us.
void Connector::report(std::optional<ConnectResult> result) {
  if (!result) return;
  const Done done = done_;
  done(*std::move(result));
}

}  // namespace tributary::net

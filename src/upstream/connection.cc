#include "upstream/connection.h"

#include <utility>

#include "upstream/pool.h"

namespace tributary::upstream {

Connection::Connection(UpstreamMetrics& metrics, const http::H1Limits& limits, Quota::Place held)
    : metrics_(metrics), place_(std::move(held)), parser_(http::H1Parser::Kind::Response, limits) {
  metrics_.connecting.add();
}

Connection::~Connection() { close(); }

void Connection::set_stream(std::unique_ptr<net::Stream> stream, core::TimePoint now) {
  stream_ = std::move(stream);
  opened_ = now;
}

void Connection::securing() { become(ConnectionState::Securing); }

void Connection::secured() {
  become(ConnectionState::Busy);
  stream_->watch(core::Interest::Read, OnReady::to<&Connection::on_stream>(this));
}

void Connection::rest(Pool& pool, PoolHost& host, core::TimePoint now) {
  stream_->set_interest(core::Interest::Read);
  on_ready_.reset();
  pool_ = &pool;
  host_ = &host;
  idle_since_ = now;
  become(ConnectionState::Idle);
}

void Connection::use() {
  pool_ = nullptr;
  host_ = nullptr;
  become(ConnectionState::Busy);
}

void Connection::on_stream(core::Interest ready) {
  if (pool_) {
    pool_->on_idle_ready(*host_, *this);
  } else if (on_ready_) {
    const OnReady on_ready = on_ready_;
    on_ready(ready);
  }
}

net::IoResult Connection::read(char* buffer, size_t size) {
  const net::IoResult result = stream_->read(buffer, size);
  if (result.is_bytes()) metrics_.bytes_received.add(result.n);
  return result;
}

net::IoResult Connection::write(const iovec* parts, int count) {
  const net::IoResult result = stream_->write(parts, count);
  if (result.is_bytes()) metrics_.bytes_sent.add(result.n);
  return result;
}

std::unique_ptr<net::Stream> Connection::take_stream() {
  stream_->set_interest(core::Interest::None);
  on_ready_.reset();
  std::unique_ptr<net::Stream> stream = std::move(stream_);
  close();
  return stream;
}

Quota::Place Connection::take_place() {
  close();
  return std::move(place_);
}

void Connection::close() {
  stream_.reset();
  if (!state_.is(ConnectionState::Closed)) become(ConnectionState::Closed);
}

// Each state is counted in one gauge, so a change is one down and one up.
void Connection::become(ConnectionState next) {
  if (core::Gauge* before = gauge()) before->sub();
  state_.become(next);
  if (core::Gauge* after = gauge()) after->add();
}

core::Gauge* Connection::gauge() const {
  switch (state_.get()) {
    case ConnectionState::Opening:
    case ConnectionState::Securing: return &metrics_.connecting;
    case ConnectionState::Busy: return &metrics_.active;
    case ConnectionState::Idle: return &metrics_.idle;
    case ConnectionState::Closed: return nullptr;
  }
  return nullptr;
}

}  // namespace tributary::upstream

#include "proxy/farewell.h"

#include <string_view>
#include <utility>

#include "proxy/worker.h"

namespace tributary::proxy {

using core::Interest;

Farewell::Farewell(Worker& worker, Protocol protocol, std::unique_ptr<net::Stream> stream, std::string words)
    : Session(worker, protocol), stream_(std::move(stream)), words_(std::move(words)), deadline_(worker.loop()) {}

void Farewell::start() {
  stream_->watch(Interest::None, core::Callback<void(Interest)>::to<&Farewell::on_ready>(this));
  deadline_.start(worker_.settings().timeout.read, core::Callback<void()>::to<&Farewell::on_deadline>(this));
  send();
}

void Farewell::on_ready(Interest) {
  if (state_.is(FarewellState::Sending)) {
    send();
  } else if (state_.is(FarewellState::Lingering)) {
    discard();
  }
}

void Farewell::send() {
  while (sent_ < words_.size()) {
    const net::IoResult result = stream_->write(std::string_view(words_).substr(sent_));
    if (result.is_would_block()) return stream_->set_interest(Interest::Write);
    if (!result.is_bytes()) return end();
    sent_ += result.n;
    worker_.metrics().client_bytes_out(result.n);
  }
  const net::IoResult ended = stream_->shutdown_write();
  if (ended.is_would_block()) return stream_->set_interest(Interest::Write);
  if (ended.is_failed()) return end();
  state_.become(FarewellState::Lingering);
  words_ = std::string();
  deadline_.start(kLonger, core::Callback<void()>::to<&Farewell::on_deadline>(this));
  stream_->set_interest(Interest::Read);
}

void Farewell::discard() {
  const net::IoResult result = stream_->read(worker_.loop().scratch(), worker_.loop().scratch_size());
  if (result.is_would_block()) return;
  if (!result.is_bytes()) end();
}

void Farewell::end() {
  if (state_.is(FarewellState::Ended)) return;
  state_.become(FarewellState::Ended);
  stream_->close();
  deadline_.stop();
  worker_.finished(*this);
}

}  // namespace tributary::proxy

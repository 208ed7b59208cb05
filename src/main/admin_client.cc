#include "main/admin_client.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "http/field_name.h"
#include "http/text.h"
#include "net/socket.h"

namespace tributary {
namespace {

constexpr size_t kMostContent = 64 << 20;  // far above any page

bool is_absent(int sys) { return sys == ECONNREFUSED || sys == ENOENT || sys == ECONNRESET; }

}  // namespace

AdminExchange::AdminExchange(core::Loop& loop, const net::SocketAddress& address, const AdminRequest& request,
                             core::Duration patience)
    : loop_(loop), patience_(patience), deadline_(loop) {
  output_ = fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", request.method, request.target);
  if (request.method == "POST") {
    output_ += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", request.content.size());
  }
  output_ += "\r\n" + request.content;
  core::Result<core::Fd> fd = net::make_stream_socket(address);
  if (!fd) {
    end(Outcome::Failed, core::describe(fd.error()));
    return;
  }
  sockaddr_storage storage{};
  const socklen_t size = address.to_sockaddr(storage);
  if (::connect(fd->get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 && errno != EINPROGRESS) {
    end(is_absent(errno) ? Outcome::Absent : Outcome::Failed, std::strerror(errno));
    return;
  }
  stream_ = std::make_unique<net::TcpStream>(loop_, std::move(*fd), address, core::Side::Us);
  stream_->watch(core::Interest::Write, core::Callback<void(core::Interest)>::to<&AdminExchange::on_ready>(this));
  deadline_.start(kConnect, core::Callback<void()>::to<&AdminExchange::on_deadline>(this));
}

void AdminExchange::on_ready(core::Interest ready) {
  if (!connected_) {
    if (const int sys = net::take_socket_error(stream_->fd())) {
      return end(is_absent(sys) ? Outcome::Absent : Outcome::Failed, std::strerror(sys));
    }
    connected_ = true;
    deadline_.start(patience_, core::Callback<void()>::to<&AdminExchange::on_deadline>(this));
    stream_->set_interest(core::Interest::Both);
  }
  if (core::has(ready, core::Interest::Write) && !output_.empty()) {
    const net::IoResult sent = stream_->write(output_);
    if (!sent.is_failed()) output_.erase(0, sent.n);  // what it refused it may have answered
    if (output_.empty() || sent.is_failed()) stream_->set_interest(core::Interest::Read);
  }
  if (core::has(ready, core::Interest::Read)) receive();
}

void AdminExchange::receive() {
  const net::IoResult got = stream_->read(loop_.scratch(), loop_.scratch_size());
  if (got.is_would_block()) return;
  if (!got.is_bytes()) {
    if (parser_.finish() == http::H1Parser::Event::Complete) return end(Outcome::Answered);
    return end(Outcome::Failed, "it closed the connection without an answer");
  }
  std::string_view input(loop_.scratch(), got.n);
  for (;;) {
    switch (parser_.next(input)) {
      case http::H1Parser::Event::NeedMore:
        return;
      case http::H1Parser::Event::Head:
        response_.status = parser_.response().status;
        response_.content_type = parser_.response().fields.find(http::FieldName::ContentType).value_or("");
        break;
      case http::H1Parser::Event::Body:
        if (response_.content.size() + parser_.body().size() > kMostContent) return end(Outcome::Failed, "its answer is too large");
        response_.content += parser_.body();
        break;
      case http::H1Parser::Event::Complete:
        return end(Outcome::Answered);
      case http::H1Parser::Event::Error:
        return end(Outcome::Failed, "what listens there does not speak HTTP");
    }
  }
}

void AdminExchange::end(Outcome outcome, std::string why) {
  outcome_ = outcome;
  why_ = std::move(why);
  over_ = true;
  deadline_.stop();
  if (stream_) stream_->close();
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (http::is_alpha(c) || http::is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return encoded;
}

}  // namespace tributary

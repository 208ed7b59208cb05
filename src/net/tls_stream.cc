#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/tls.h"

namespace tributary::net {
namespace {

constexpr size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;  // 16 KiB
constexpr size_t kFileRun = 4 * kRecord;              // read from a file at a time; on the stack

}  // namespace

// OpenSSL's way to the transport: any Stream, so TLS also runs inside TLS, and no write raises SIGPIPE.
struct TlsStream::Bio {
  static TlsStream& stream(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* buffer, int size) {
    TlsStream& self = stream(bio);
    BIO_clear_retry_flags(bio);
    if (!self.initial_.empty()) {
      const size_t n = std::min(self.initial_.size(), static_cast<size_t>(size));
      std::memcpy(buffer, self.initial_.data(), n);
      self.initial_.erase(0, n);
      if (self.initial_.empty()) self.initial_.shrink_to_fit();
      return static_cast<int>(n);
    }
    const IoResult got = self.transport_->read(buffer, static_cast<size_t>(size));
    switch (got.kind) {
      case IoResult::Kind::Bytes:
        return static_cast<int>(got.n);
      case IoResult::Kind::WouldBlock:
        BIO_set_retry_read(bio);
        return -1;
      case IoResult::Kind::End:
        self.transport_ended_ = true;
        return 0;
      default:
        self.transport_failed_ = true;
        self.transport_error_ = got.error;
        return -1;
    }
  }

  static int write(BIO* bio, const char* bytes, int size) {
    TlsStream& self = stream(bio);
    BIO_clear_retry_flags(bio);
    const IoResult sent = self.transport_->write({bytes, static_cast<size_t>(size)}, self.more_);
    if (sent.is_bytes()) return static_cast<int>(sent.n);
    if (sent.is_would_block()) {
      BIO_set_retry_write(bio);
    } else {
      self.transport_failed_ = true;
      self.transport_error_ = sent.error;
    }
    return -1;
  }

  static long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return stream(bio).transport_ended_ ? 1 : 0;
    return 0;
  }

  // Made once and kept: immutable afterwards.
  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tributary stream");
      BIO_meth_set_read(fresh, read);
      BIO_meth_set_write(fresh, write);
      BIO_meth_set_ctrl(fresh, control);
      return fresh;
    }();
    return made;
  }
};

TlsStream::TlsStream(core::Loop& loop, std::unique_ptr<Stream> transport, SSL_CTX* context, core::Side side)
    : transport_(std::move(transport)), ssl_(SSL_new(context)), loop_(loop), side_(side), deferred_(loop) {
  BIO* bio = BIO_new(Bio::method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_app_data(ssl_, this);
}

TlsStream::~TlsStream() {
  // Without this SSL_free would mark the session as not resumable because no close_notify was exchanged. Sessions of
  // connections that failed have been removed already.
  SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl_);
}

std::unique_ptr<TlsStream> TlsStream::client(core::Loop& loop, std::unique_ptr<Stream> transport,
                                             const TlsClientContext& context, const HostPort& peer,
                                             TlsSessionCache* sessions, core::Side side) {
  std::unique_ptr<TlsStream> made(new TlsStream(loop, std::move(transport), context.context_, side));
  SSL* ssl = made->ssl_;
  SSL_set_connect_state(ssl);
  const bool is_ip = IpAddress::parse(peer.host).has_value();
  // RFC 6066 3: literal addresses are not permitted in server_name.
  if (!is_ip) {
    // The macro SSL_set_tlsext_host_name, without its old-style cast.
    SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(peer.host.c_str()));
  }
  if (context.verify_) {
    // RFC 9525 6: the identity is in the subject alternative names; a wildcard is a whole label.
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (is_ip) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), peer.host.c_str());
    } else {
      SSL_set1_host(ssl, peer.host.c_str());
    }
  }
  if (sessions) {
    made->sessions_ = sessions;
    made->session_key_ = TlsSessionCache::key(peer, context.identity());
    if (SSL_SESSION* session = sessions->find(made->session_key_)) SSL_set_session(ssl, session);
  }
  return made;
}

std::unique_ptr<TlsStream> TlsStream::server(core::Loop& loop, std::unique_ptr<Stream> transport,
                                             const TlsServerContext& context, core::Side side,
                                             std::string_view initial) {
  std::unique_ptr<TlsStream> made(new TlsStream(loop, std::move(transport), context.context_, side));
  SSL_set_accept_state(made->ssl_);
  made->initial_ = initial;
  return made;
}

void TlsStream::keep_sessions(SSL_CTX* context) { SSL_CTX_sess_set_new_cb(context, on_new_session); }

// TLS 1.3 tickets come after the handshake, with the first reads. A ticket is used until a newer one comes: a proxy hides
// nothing from an origin by using one once only (RFC 8446 C.4), and sixteen connections want it at the same time.
int TlsStream::on_new_session(SSL* ssl, SSL_SESSION* session) {
  auto* self = static_cast<TlsStream*>(SSL_get_app_data(ssl));
  if (!self->sessions_ || self->phase_ == Phase::Broken || !SSL_SESSION_is_resumable(session)) return 0;
  self->sessions_->put(self->session_key_, session);
  return 1;  // the reference is the cache's now
}

void TlsStream::handshake(core::Callback<void(core::Result<void>)> done) {
  handshake_done_ = done;
  transport_->watch(core::Interest::None, core::Callback<void(core::Interest)>::to<&TlsStream::on_transport>(this));
  phase_ = Phase::Handshaking;
  deferred_.schedule(core::Callback<void()>::to<&TlsStream::on_deferred>(this));
}

void TlsStream::continue_handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) {
    const int error = SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_WANT_READ) return transport_->set_interest(core::Interest::Read);
    if (error == SSL_ERROR_WANT_WRITE) return transport_->set_interest(core::Interest::Write);
    const core::Error why = failure();
    transport_->set_interest(core::Interest::None);
    const auto done = handshake_done_;
    return done(core::Result<void>(why));
  }
  phase_ = Phase::Open;
  read_drained_ = false;  // what came behind the handshake is in OpenSSL's buffer
  update_interest();
  const auto done = handshake_done_;
  done(core::Result<void>());
}

void TlsStream::on_transport(core::Interest ready) {
  using core::Interest;
  if (phase_ == Phase::Handshaking) return continue_handshake();
  Interest fired = Interest::None;
  if (core::has(ready, Interest::Read)) {
    read_drained_ = false;
    if (!read_wants_write_) fired = fired | (interest_ & Interest::Read);
    if (write_wants_read_) fired = fired | (interest_ & Interest::Write);
  }
  if (core::has(ready, Interest::Write)) {
    if (!write_wants_read_) fired = fired | (interest_ & Interest::Write);
    if (read_wants_write_) fired = fired | (interest_ & Interest::Read);
  }
  if (core::has(ready, Interest::Read)) write_wants_read_ = false;
  if (core::has(ready, Interest::Write)) read_wants_write_ = false;
  update_interest();
  if (fired != Interest::None && callback_) {
    const auto callback = callback_;
    callback(fired);
  }
}

void TlsStream::on_deferred() {
  if (phase_ == Phase::Handshaking) return continue_handshake();
  if (!core::has(interest_, core::Interest::Read) || !has_buffered()) return;
  // Level-triggered like a socket: again, unless the owner reads everything or drops its interest.
  deferred_.schedule(core::Callback<void()>::to<&TlsStream::on_deferred>(this));
  const auto callback = callback_;
  callback(core::Interest::Read);
}

// Something that read() would return without asking the transport?
bool TlsStream::has_buffered() const {
  if (phase_ == Phase::Broken) return true;
  if (phase_ != Phase::Open) return false;
  if ((SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0) return true;
  // OpenSSL may hold part of a record: that is nothing to read until more has come.
  return SSL_pending(ssl_) > 0 || (!read_drained_ && (SSL_has_pending(ssl_) == 1 || !initial_.empty()));
}

void TlsStream::update_interest() {
  using core::Interest;
  if (phase_ != Phase::Open && phase_ != Phase::Broken) return;
  Interest wanted = Interest::None;
  if (phase_ == Phase::Open) {
    if (core::has(interest_, Interest::Read)) wanted = wanted | (read_wants_write_ ? Interest::Write : Interest::Read);
    if (core::has(interest_, Interest::Write)) wanted = wanted | (write_wants_read_ ? Interest::Read : Interest::Write);
  }
  transport_->set_interest(wanted);
  if (core::has(interest_, Interest::Read) && callback_ && has_buffered()) {
    deferred_.schedule(core::Callback<void()>::to<&TlsStream::on_deferred>(this));
  } else {
    deferred_.cancel();
  }
}

void TlsStream::watch(core::Interest interest, core::Callback<void(core::Interest)> callback) {
  callback_ = callback;
  set_interest(interest);
}

void TlsStream::set_interest(core::Interest interest) {
  interest_ = interest;
  update_interest();
}

// What a call of OpenSSL that did not succeed means.
IoResult TlsStream::outcome(int result, bool reading) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      (reading ? read_drained_ : write_wants_read_) = true;
      break;
    case SSL_ERROR_WANT_WRITE:
      if (reading) read_wants_write_ = true;
      break;
    case SSL_ERROR_ZERO_RETURN:
      update_interest();
      return IoResult::end();
    default: {
      const core::Error why = failure();
      update_interest();
      return IoResult::failed(why);
    }
  }
  update_interest();
  return IoResult::would_block();
}

core::Error TlsStream::failure() {
  const bool was_open = phase_ == Phase::Open;
  phase_ = Phase::Broken;
  error_ = {.code = core::ErrorCode::TlsProtocol, .side = side_, .retry = core::Retry::IfIdempotent};
  const unsigned long code = ERR_peek_last_error();
  const long verify = SSL_get_verify_result(ssl_);
  if (transport_failed_) {
    error_ = transport_error_;
    reason_ = core::describe(error_);
  } else if (transport_ended_) {
    error_.code = core::ErrorCode::ConnectionReset;
    reason_ = was_open ? "closed without close_notify" : "closed during the TLS handshake";
  } else if (verify != X509_V_OK) {
    error_.code = core::ErrorCode::TlsCertificate;
    error_.retry = core::Retry::Never;
    reason_ = X509_verify_cert_error_string(verify);
  } else {
    const int why = ERR_GET_REASON(code);
    reason_ = ERR_reason_error_string(code) ? ERR_reason_error_string(code) : "TLS failure";
    if (why > SSL_AD_REASON_OFFSET && why < SSL_AD_REASON_OFFSET + 256) {
      error_.detail = static_cast<uint8_t>(why - SSL_AD_REASON_OFFSET);
      reason_ += " (alert " + std::to_string(error_.detail) + ")";
    }
  }
  ERR_clear_error();
  // RFC 5246 7.2.2: a session that met a fatal alert is not resumed.
  if (sessions_) sessions_->remove(session_key_);
  return error_;
}

IoResult TlsStream::read(char* buffer, size_t size) {
  if (phase_ == Phase::Broken) return IoResult::failed(error_);
  if (phase_ != Phase::Open) return IoResult::would_block();
  size_t total = 0;
  ERR_clear_error();
  while (total < size) {
    size_t n = 0;
    const int result = SSL_read_ex(ssl_, buffer + total, size - total, &n);
    if (result != 1) {
      const IoResult stopped = outcome(result, true);
      if (total == 0) return stopped;
      break;  // an end or a failure is told by the next read
    }
    total += n;
  }
  update_interest();
  return IoResult::bytes(total);
}

// At least one record, or why not.
IoResult TlsStream::write_records(const char* bytes, size_t size, More more) {
  size_t total = 0;
  while (total < size) {
    const size_t run = std::min(kRecord, size - total);
    more_ = total + run < size ? More::Yes : more;
    size_t n = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_, bytes + total, run, &n);
    more_ = More::No;
    if (result != 1) {
      const IoResult stopped = outcome(result, false);
      if (stopped.is_would_block()) sealed_ = run;
      if (total == 0) return stopped;
      break;  // a failure is told by the next write
    }
    sealed_ = 0;
    total += n;
  }
  return IoResult::bytes(total);
}

IoResult TlsStream::write(const iovec* parts, int count, More more) {
  if (phase_ == Phase::Broken) return IoResult::failed(error_);
  if (phase_ != Phase::Open) return IoResult::would_block();
  char gathered[kRecord];
  size_t total = 0;
  int part = 0;
  size_t offset = 0;  // in parts[part]
  while (part < count) {
    const char* bytes = static_cast<const char*>(parts[part].iov_base) + offset;
    size_t size = parts[part].iov_len - offset;
    if (part + 1 < count && size < kRecord) {
      // Small parts share a record: a head and the first of its body cost one, not two.
      size = 0;
      size_t from = offset;
      for (int i = part; i < count && size < kRecord; ++i, from = 0) {
        const size_t n = std::min(kRecord - size, parts[i].iov_len - from);
        std::memcpy(gathered + size, static_cast<const char*>(parts[i].iov_base) + from, n);
        size += n;
      }
      bytes = gathered;
    }
    // A record that was sealed but not sent is offered again from the same place in the same lengths: min(kRecord, rest).
    size_t left = 0;
    for (int i = part; i < count; ++i) left += parts[i].iov_len;
    const bool is_last = size + offset >= left;
    if (size == 0) {
      ++part;
      offset = 0;
      continue;
    }
    const IoResult sent = write_records(bytes, size, is_last ? more : More::Yes);
    if (!sent.is_bytes()) return total > 0 ? IoResult::bytes(total) : sent;
    total += sent.n;
    size_t step = sent.n;
    while (part < count && step >= parts[part].iov_len - offset) {
      step -= parts[part].iov_len - offset;
      offset = 0;
      ++part;
    }
    offset += step;
    if (sent.n < size) break;
  }
  return IoResult::bytes(total);
}

IoResult TlsStream::send_file(int file, uint64_t offset, size_t length, More more) {
  if (phase_ == Phase::Broken) return IoResult::failed(error_);
  if (phase_ != Phase::Open) return IoResult::would_block();
  char run[kFileRun];
  size_t total = 0;
  while (total < length) {
    const iovec into{run, std::min(sizeof(run), length - total)};
    const auto at = static_cast<off_t>(offset + total);
    ssize_t got = ::preadv2(file, &into, 1, at, RWF_NOWAIT);
    // A file system without RWF_NOWAIT has no page cache that could tell; its files are in memory or always waited for.
    if (got < 0 && errno == EOPNOTSUPP) got = ::preadv(file, &into, 1, at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (total > 0) break;
      if (got == 0) return IoResult::end();
      if (errno == EAGAIN) return IoResult::cold();
      return IoResult::failed({.code = core::ErrorCode::StorageIo, .side = core::Side::Us, .sys = errno});
    }
    const auto size = static_cast<size_t>(got);
    if (total == 0 && size < sealed_) return IoResult::cold();  // pages left the cache since; OpenSSL wants as many bytes
    const IoResult sent = write_records(run, size, total + size < length ? More::Yes : more);
    if (!sent.is_bytes()) return total > 0 ? IoResult::bytes(total) : sent;
    total += sent.n;
    if (sent.n < size) break;
  }
  return IoResult::bytes(total);
}

IoResult TlsStream::shutdown_write() {
  if (write_ended_) return IoResult::bytes(0);
  if (phase_ == Phase::Broken) return IoResult::failed(error_);
  if (phase_ == Phase::Open && !close_notify_sent_) {
    // SSL_SENT_SHUTDOWN does not tell: OpenSSL sets it before the alert has left.
    ERR_clear_error();
    const int result = SSL_shutdown(ssl_);
    if (result < 0) return outcome(result, false);
    close_notify_sent_ = true;
  }
  const IoResult ended = transport_->shutdown_write();
  if (!ended.is_would_block()) write_ended_ = true;
  return ended;
}

void TlsStream::close() {
  phase_ = Phase::Closed;
  deferred_.cancel();
  transport_->close();
}

void TlsStream::abort() {
  phase_ = Phase::Closed;
  deferred_.cancel();
  transport_->abort();
}

IoResult TlsStream::probe() {
  if (phase_ == Phase::Broken) return IoResult::failed(error_);
  if (phase_ != Phase::Open) return IoResult::would_block();
  char byte;
  size_t n = 0;
  ERR_clear_error();
  const int result = SSL_peek_ex(ssl_, &byte, 1, &n);
  if (result == 1) return IoResult::bytes(1);
  return outcome(result, true);
}

std::string_view TlsStream::alpn() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsStream::is_resumed() const { return SSL_session_reused(ssl_) == 1; }
std::string_view TlsStream::version() const { return SSL_get_version(ssl_); }

}  // namespace tributary::net

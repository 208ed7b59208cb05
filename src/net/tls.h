// TLS streams over any other stream, client and server side. tls*.cc are the only files that include OpenSSL.
//
//   auto context = TlsClientContext::create({.verify = true}, &why);              // at start-up: reads files
//   auto stream = TlsStream::client(loop, std::move(tcp), **context, {"example.com", 443}, &sessions, core::Side::Origin);
//   stream->handshake(Callback<void(Result<void>)>::to<&Fetch::on_handshake>(this));
//
// Certificates are verified by default, with the host name or IP address against the subject alternative names
// (RFC 9525: no fallback to the common name). A peer that ends without close_notify is a failure (ConnectionReset), told
// apart from a clean End: a truncation attack must not look like a short answer (RFC 8446 6.1).
// Buffers are released while a connection is idle (SSL_MODE_RELEASE_BUFFERS).
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/result.h"
#include "net/stream.h"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;

namespace tributary::net {

class TlsStream;

enum class TlsVersion : uint8_t { Tls12, Tls13 };

struct TlsClientSettings {
  bool verify = true;
  std::string ca_file;      // PEM; empty: the system's roots
  std::string certificate;  // PEM chain and key to show when asked for one; empty: none
  std::string key;
  TlsVersion min_version = TlsVersion::Tls12;
  std::vector<std::string> alpn = {"http/1.1"};
};

struct TlsServerSettings {
  std::string certificate;  // PEM chain
  std::string key;          // PEM
  std::string client_ca;    // PEM; not empty: clients must show a certificate from it
  TlsVersion min_version = TlsVersion::Tls12;
  std::vector<std::string> alpn = {"http/1.1"};  // in order of preference
};

// Settings, roots and certificates for connections that we open. Immutable, any thread; shared by the workers and outlives
// its streams. create() reads files: at start-up or on the offload pool. On failure `why` has a sentence.
class TlsClientContext {
 public:
  static core::Result<std::unique_ptr<TlsClientContext>> create(const TlsClientSettings& settings, std::string* why);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  // Distinguishes contexts in session caches, so that no session made under other verification settings is resumed.
  uint64_t identity() const { return identity_; }

 private:
  friend class TlsStream;
  TlsClientContext() = default;
  ssl_ctx_st* context_ = nullptr;
  bool verify_ = true;
  uint64_t identity_ = 0;
};

// For connections that we accept. Immutable, any thread. Session tickets are on; the tickets' keys live with the context.
class TlsServerContext {
 public:
  static core::Result<std::unique_ptr<TlsServerContext>> create(const TlsServerSettings& settings, std::string* why);
  ~TlsServerContext();
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;

 private:
  friend class TlsStream;
  TlsServerContext() = default;
  ssl_ctx_st* context_ = nullptr;
  std::string alpn_;  // wire format
};

// Client sessions to resume, the newest per (host, port, context identity), at most `capacity` of them, least recently
// used out first. Loop-affine, one per worker; must outlive the streams that were given it.
class TlsSessionCache {
 public:
  explicit TlsSessionCache(size_t capacity = 1024) : capacity_(capacity) {}
  ~TlsSessionCache();
  TlsSessionCache(const TlsSessionCache&) = delete;
  TlsSessionCache& operator=(const TlsSessionCache&) = delete;
  static std::string key(const HostPort& peer, uint64_t context_identity);
  size_t size() const { return entries_.size(); }

 private:
  friend class TlsStream;
  void put(const std::string& key, ssl_session_st* session);  // takes the reference over
  ssl_session_st* find(const std::string& key);               // borrowed until the next call
  void remove(const std::string& key);

  struct Entry {
    std::string key;
    ssl_session_st* session;
  };
  size_t capacity_;
  std::list<Entry> lru_;  // newest first
  std::unordered_map<std::string, std::list<Entry>::iterator> entries_;
};

class TlsStream final : public Stream {
 public:
  // `peer` names whom the certificate must be for; SNI is sent when it is a name. `sessions` may be null.
  static std::unique_ptr<TlsStream> client(core::Loop& loop, std::unique_ptr<Stream> transport,
                                           const TlsClientContext& context, const HostPort& peer,
                                           TlsSessionCache* sessions, core::Side side);
  // `initial`: bytes that were read from the transport already (protocol detection); copied.
  static std::unique_ptr<TlsStream> server(core::Loop& loop, std::unique_ptr<Stream> transport,
                                           const TlsServerContext& context, core::Side side,
                                           std::string_view initial = {});
  ~TlsStream() override;

  // Runs the handshake; the callback runs once, later, never from inside this call. Errors: TlsCertificate, TlsProtocol (the
  // detail is the alert when there was one), and the transport's. The deadline is the owner's. Before it is done read and
  // write say WouldBlock.
  void handshake(core::Callback<void(core::Result<void>)> done);

  using Stream::write;
  IoResult read(char* buffer, size_t size) override;
  IoResult write(const iovec* parts, int count, More more = More::No) override;
  IoResult send_file(int file, uint64_t offset, size_t length, More more = More::No) override;
  IoResult shutdown_write() override;
  void close() override;
  void abort() override;
  void watch(core::Interest interest, core::Callback<void(core::Interest)> callback) override;
  void set_interest(core::Interest interest) override;
  core::Interest interest() const override { return interest_; }
  IoResult probe() override;
  int fd() const override { return transport_->fd(); }
  const SocketAddress& peer() const override { return transport_->peer(); }
  bool is_tls() const override { return true; }

  std::string_view alpn() const;             // what was agreed on; empty: nothing
  bool is_resumed() const;                   // the handshake resumed an earlier session
  std::string_view version() const;          // "TLSv1.3"
  // Why the last operation failed, for people: "certificate has expired", "unknown ca (alert 48)". Empty: it did not.
  const std::string& reason() const { return reason_; }

 private:
  friend class TlsClientContext;
  enum class Phase : uint8_t { Fresh, Handshaking, Open, Broken, Closed };
  struct Bio;

  TlsStream(core::Loop& loop, std::unique_ptr<Stream> transport, ssl_ctx_st* context, core::Side side);
  static void keep_sessions(ssl_ctx_st* context);
  static int on_new_session(ssl_st* ssl, ssl_session_st* session);

  void continue_handshake();
  void on_transport(core::Interest ready);
  void on_deferred();
  void update_interest();
  bool has_buffered() const;
  IoResult outcome(int result, bool reading);
  IoResult write_records(const char* bytes, size_t size, More more);
  core::Error failure();

  std::unique_ptr<Stream> transport_;
  ssl_st* ssl_ = nullptr;
  core::Loop& loop_;
  TlsSessionCache* sessions_ = nullptr;
  std::string session_key_;
  std::string initial_;  // was read before us
  std::string reason_;
  core::Callback<void(core::Interest)> callback_;
  core::Callback<void(core::Result<void>)> handshake_done_;
  core::Error error_;            // Phase::Broken
  core::Error transport_error_;  // when transport_failed_
  core::Interest interest_ = core::Interest::None;
  Phase phase_ = Phase::Fresh;
  core::Side side_;
  More more_ = More::No;  // for what OpenSSL writes to the transport now
  bool transport_failed_ = false;
  bool transport_ended_ = false;
  bool read_drained_ = true;  // the last read took everything that had arrived
  bool read_wants_write_ = false;
  bool write_wants_read_ = false;
  bool close_notify_sent_ = false;
  bool write_ended_ = false;
  size_t sealed_ = 0;  // length of a record that OpenSSL holds because the transport was full
  core::Deferred deferred_;
};

}  // namespace tributary::net

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <atomic>

#include "net/tls.h"

namespace tributary::net {
namespace {

core::Error refuse(std::string* why, std::string_view what) {
  if (why) {
    *why = what;
    if (const unsigned long code = ERR_peek_last_error()) {
      char buffer[256];
      ERR_error_string_n(code, buffer, sizeof(buffer));
      *why += ": ";
      *why += ERR_reason_error_string(code) ? ERR_reason_error_string(code) : buffer;
    }
  }
  ERR_clear_error();
  return {.code = core::ErrorCode::InvalidArgument};
}

// RFC 7301 3.1: each name with its length in front. Empty when one does not fit.
std::string alpn_wire(const std::vector<std::string>& names) {
  std::string wire;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255) return {};
    wire.push_back(static_cast<char>(name.size()));
    wire += name;
  }
  return wire;
}

int version_number(TlsVersion version) { return version == TlsVersion::Tls13 ? TLS1_3_VERSION : TLS1_2_VERSION; }

void set_common(SSL_CTX* context, TlsVersion min_version) {
  SSL_CTX_set_min_proto_version(context, version_number(min_version));
  // RELEASE_BUFFERS: an idle connection gives back its 2 × 17 KiB. A partial write may be retried from elsewhere.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_read_ahead(context, 1);  // one read of the transport a record, not two
}

bool use_certificate(SSL_CTX* context, const std::string& certificate, const std::string& key) {
  return SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) == 1 &&
         SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1 &&
         SSL_CTX_check_private_key(context) == 1;
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                unsigned int offered_size, void* argument) {
  const auto& ours = *static_cast<const std::string*>(argument);
  unsigned char* chosen = nullptr;
  const int result = SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                                           static_cast<unsigned int>(ours.size()), offered, offered_size);
  *out = chosen;
  // RFC 7301 3.2 asks for no_application_protocol; a client that offers only what we do not speak must not go on.
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

core::Result<std::unique_ptr<TlsClientContext>> TlsClientContext::create(const TlsClientSettings& settings,
                                                                         std::string* why) {
  static std::atomic<uint64_t> next_identity{1};
  ERR_clear_error();
  std::unique_ptr<TlsClientContext> made(new TlsClientContext);
  SSL_CTX* context = made->context_ = SSL_CTX_new(TLS_client_method());
  if (!context) return refuse(why, "no TLS context");
  made->verify_ = settings.verify;
  made->identity_ = next_identity.fetch_add(1, std::memory_order_relaxed);
  set_common(context, settings.min_version);
  SSL_CTX_set_verify(context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!settings.ca_file.empty()) {
    if (SSL_CTX_load_verify_locations(context, settings.ca_file.c_str(), nullptr) != 1) {
      return refuse(why, "cannot read CA certificates from " + settings.ca_file);
    }
  } else if (SSL_CTX_set_default_verify_paths(context) != 1) {
    return refuse(why, "cannot read the system's CA certificates");
  }
  if (!settings.certificate.empty() && !use_certificate(context, settings.certificate, settings.key)) {
    return refuse(why, "cannot use certificate " + settings.certificate + " with key " + settings.key);
  }
  const std::string alpn = alpn_wire(settings.alpn);
  if (alpn.empty() != settings.alpn.empty()) return refuse(why, "not a protocol name for ALPN");
  if (!alpn.empty() && SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(alpn.data()),
                                               static_cast<unsigned int>(alpn.size())) != 0) {
    return refuse(why, "cannot offer these protocols");
  }
  // Sessions go to the worker's TlsSessionCache (the callback is set where the stream is known), not into the context.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  TlsStream::keep_sessions(context);
  return made;
}

TlsClientContext::~TlsClientContext() { SSL_CTX_free(context_); }

core::Result<std::unique_ptr<TlsServerContext>> TlsServerContext::create(const TlsServerSettings& settings,
                                                                         std::string* why) {
  ERR_clear_error();
  std::unique_ptr<TlsServerContext> made(new TlsServerContext);
  SSL_CTX* context = made->context_ = SSL_CTX_new(TLS_server_method());
  if (!context) return refuse(why, "no TLS context");
  set_common(context, settings.min_version);
  if (!use_certificate(context, settings.certificate, settings.key)) {
    return refuse(why, "cannot use certificate " + settings.certificate + " with key " + settings.key);
  }
  if (!settings.client_ca.empty()) {
    STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(settings.client_ca.c_str());
    if (!names || SSL_CTX_load_verify_locations(context, settings.client_ca.c_str(), nullptr) != 1) {
      return refuse(why, "cannot read client CA certificates from " + settings.client_ca);
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  made->alpn_ = alpn_wire(settings.alpn);
  if (made->alpn_.empty() != settings.alpn.empty()) return refuse(why, "not a protocol name for ALPN");
  if (!made->alpn_.empty()) SSL_CTX_set_alpn_select_cb(context, select_alpn, &made->alpn_);
  // Stateless tickets only: OpenSSL's own session table would be shared by the workers, behind a lock.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  static constexpr unsigned char kContext[] = "tributary";
  SSL_CTX_set_session_id_context(context, kContext, sizeof(kContext) - 1);
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Two tickets, OpenSSL's default, cost a write and a key derivation each; one resumes as well.
  SSL_CTX_set_num_tickets(context, 1);
  return made;
}

TlsServerContext::~TlsServerContext() { SSL_CTX_free(context_); }

TlsSessionCache::~TlsSessionCache() {
  for (const Entry& entry : lru_) SSL_SESSION_free(entry.session);
}

std::string TlsSessionCache::key(const HostPort& peer, uint64_t context_identity) {
  return peer.to_string() + '#' + std::to_string(context_identity);
}

void TlsSessionCache::put(const std::string& key, SSL_SESSION* session) {
  remove(key);
  if (capacity_ == 0) {
    SSL_SESSION_free(session);
    return;
  }
  if (lru_.size() >= capacity_) remove(std::string(lru_.back().key));
  lru_.push_front({key, session});
  entries_.emplace(key, lru_.begin());
}

SSL_SESSION* TlsSessionCache::find(const std::string& key) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return nullptr;
  lru_.splice(lru_.begin(), lru_, at->second);
  return at->second->session;
}

void TlsSessionCache::remove(const std::string& key) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  SSL_SESSION_free(at->second->session);
  lru_.erase(at->second);
  entries_.erase(at);
}

}  // namespace tributary::net

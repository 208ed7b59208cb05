// Credentials for a 401 or 407: Basic (RFC 7617) and Digest (RFC 7616) with MD5 and SHA-256, their -sess forms, qop=auth,
// userhash, and challenges without qop as older servers send them (RFC 2069).
//
// Of several challenges the strongest is answered: Digest with SHA-256, Digest with MD5, Basic. auth-int is not offered (S3-4.5),
// neither are NTLM and Negotiate. User names and passwords go out as UTF-8, which is what RFC 7617 2.1 asks where a server
// says charset="UTF-8" and what browsers do everywhere.
//
// Loop-affine. No I/O but for the random numbers of a client nonce.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/secret.h"
#include "http/challenge.h"
#include "http/digest_fields.h"

namespace tributary::fetch {

// "Basic …". Nothing when the user name has a colon in it, or either a control character: they cannot be sent (RFC 7617, 2).
std::optional<core::Secret> basic_credentials(std::string_view user, std::string_view password);

struct DigestChallenge {
  std::string realm, nonce, opaque;
  http::HashAlgorithm algorithm = http::HashAlgorithm::Md5;  // or Sha256
  bool names_algorithm = false;  // it is repeated only if it was there
  bool session = false;          // a -sess algorithm
  bool has_opaque = false;
  bool has_qop = false;          // with "auth" among them
  bool stale = false;
  bool userhash = false;
};

// Nothing when it is of another scheme, without realm or nonce, of an unknown algorithm, or offers auth-int alone; `why` says which.
std::optional<DigestChallenge> read_digest_challenge(const http::Challenge& challenge, std::string& why);

// "Digest username=…", the value of Authorization. `target` is the request target as it is sent, `nonce_count` from 1 on and new
// for every request with this nonce. Empty where the library does not give the algorithm.
std::string digest_credentials(const DigestChallenge& challenge, std::string_view user, std::string_view password,
                               std::string_view method, std::string_view target, uint32_t nonce_count, std::string_view cnonce);

// 128 bits of the kernel's random numbers, in hexadecimal.
std::string random_cnonce();

// The dialogue with one server or proxy on behalf of one user, for any number of requests side by side.
//
//   request without credentials -> 401 -> challenged("") = Send -> header() on the next try
//
// The caller bounds the tries of one request (kMaxTries): a server may call each nonce stale.
class Authenticator {
 public:
  static constexpr int kMaxTries = 3;

  Authenticator(std::string user, core::Secret password, std::string cnonce = random_cnonce());

  enum class Verdict : uint8_t {
    Send,         // try again with header()
    Refused,      // these very credentials were refused
    Unsupported,  // no challenge that can be answered; `why` says what there was
  };
  // A 401 (name: WWW-Authenticate) or 407 (Proxy-Authenticate). `sent` is the credentials the request had, empty for none.
  // `why` is for the user, and holds no secret.
  Verdict challenged(const http::FieldSection& response, http::FieldName name, std::string_view sent, std::string& why);

  // Authentication-Info or Proxy-Authentication-Info of any response: the nonce to use next (RFC 7616, 3.5).
  void note_info(std::string_view value);

  // The value of Authorization or Proxy-Authorization for one request; empty before a challenge that could be answered.
  std::string header(std::string_view method, std::string_view target);

 private:
  std::string user_;
  core::Secret password_;
  std::string cnonce_;
  core::Secret basic_;
  std::optional<DigestChallenge> digest_;
  uint32_t nonce_count_ = 0;
};

}  // namespace tributary::fetch

// The hash of bytes that come in steps (OpenSSL's EVP). For digests of downloads and for HTTP's Digest authentication.
//
// A hash costs about half a second per gigabyte: for content, on the offload pool. One user at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/digest_fields.h"

namespace tributary::fetch {

class Hasher {
 public:
  explicit Hasher(http::HashAlgorithm algorithm);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  // False where the library does not give this algorithm (MD5 in FIPS mode): then finish() is empty, equal to no digest.
  bool is_available() const { return context_ != nullptr; }
  http::HashAlgorithm algorithm() const { return algorithm_; }

  void add(std::string_view bytes);
  // The hash of everything added, http::hash_size() bytes; afterwards it starts anew.
  std::string finish();

  static std::string of(http::HashAlgorithm algorithm, std::string_view bytes);

 private:
  struct Context;
  struct Release {
    void operator()(Context* context) const;
  };
  http::HashAlgorithm algorithm_;
  std::unique_ptr<Context, Release> context_;
};

// Whether bytes that come in steps have all of the digests that are expected of them. One user at a time.
class DigestCheck {
 public:
  explicit DigestCheck(std::vector<http::Digest> expected);

  void add(std::string_view bytes);
  // Once, at the end: empty, or which digest differs and how.
  std::string verdict();

 private:
  std::vector<http::Digest> expected_;
  std::vector<Hasher> hashers_;
};

}  // namespace tributary::fetch

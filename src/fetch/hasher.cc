#include "fetch/hasher.h"

#include <utility>

#include <openssl/evp.h>

namespace tributary::fetch {
namespace {

const EVP_MD* method(http::HashAlgorithm algorithm) {
  switch (algorithm) {
    case http::HashAlgorithm::Md5: return EVP_md5();
    case http::HashAlgorithm::Sha1: return EVP_sha1();
    case http::HashAlgorithm::Sha224: return EVP_sha224();
    case http::HashAlgorithm::Sha256: return EVP_sha256();
    case http::HashAlgorithm::Sha384: return EVP_sha384();
    case http::HashAlgorithm::Sha512: return EVP_sha512();
  }
  return nullptr;
}

EVP_MD_CTX* evp(void* context) {
  return static_cast<EVP_MD_CTX*>(context);
}

}  // namespace

void Hasher::Release::operator()(Context* context) const {
  EVP_MD_CTX_free(evp(context));
}

Hasher::Hasher(http::HashAlgorithm algorithm)
    : algorithm_(algorithm), context_(reinterpret_cast<Context*>(EVP_MD_CTX_new())) {
  if (EVP_DigestInit_ex(evp(context_.get()), method(algorithm), nullptr) != 1) context_.reset();
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::add(std::string_view bytes) {
  if (context_ && EVP_DigestUpdate(evp(context_.get()), bytes.data(), bytes.size()) != 1) context_.reset();
}

std::string Hasher::finish() {
  std::string out(http::hash_size(algorithm_), '\0');
  if (!context_ || EVP_DigestFinal_ex(evp(context_.get()), reinterpret_cast<unsigned char*>(out.data()), nullptr) != 1 ||
      EVP_DigestInit_ex(evp(context_.get()), nullptr, nullptr) != 1) {
    context_.reset();
    return {};
  }
  return out;
}

std::string Hasher::of(http::HashAlgorithm algorithm, std::string_view bytes) {
  Hasher hasher(algorithm);
  hasher.add(bytes);
  return hasher.finish();
}

DigestCheck::DigestCheck(std::vector<http::Digest> expected) : expected_(std::move(expected)) {
  for (const http::Digest& digest : expected_) hashers_.emplace_back(digest.algorithm);
}

void DigestCheck::add(std::string_view bytes) {
  for (Hasher& hasher : hashers_) hasher.add(bytes);
}

std::string DigestCheck::verdict() {
  for (size_t i = 0; i < expected_.size(); ++i) {
    const std::string actual = hashers_[i].finish();
    if (actual == expected_[i].bytes) continue;
    const std::string name(http::hash_name(expected_[i].algorithm));
    if (actual.empty()) return "this system does not compute " + name;
    return name + " is " + http::Digest{expected_[i].algorithm, actual}.hex() + ", not " + expected_[i].hex();
  }
  return {};
}

}  // namespace tributary::fetch

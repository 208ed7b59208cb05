// Digests of content, as fields and users give them: Repr-Digest and Content-Digest (RFC 9530), the older Digest (RFC 3230),
// and ALGORITHM=VALUE of a command line. Nothing is computed here.
//
// What a digest is of: Repr-Digest and Digest, the whole selected representation with its content coding, also in
// a 206; Content-Digest, the content of this one message. The id- algorithms of RFC 5843 (without the coding) are not read.
//
// Pure; any thread; linear time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/fields.h"

namespace tributary::http {

// Weakest first. MD5 and SHA-1 show damage, not malice.
enum class HashAlgorithm : uint8_t { Md5, Sha1, Sha224, Sha256, Sha384, Sha512 };

size_t hash_size(HashAlgorithm algorithm);                // bytes
std::string_view hash_name(HashAlgorithm algorithm);      // as IANA's registry has it: "sha-256"
// In any case and with or without the hyphen: "SHA-256", "sha256". "sha" is SHA-1 (RFC 3230).
std::optional<HashAlgorithm> find_hash(std::string_view name);

struct Digest {
  HashAlgorithm algorithm = HashAlgorithm::Sha256;
  std::string bytes;  // hash_size(algorithm) of them

  std::string hex() const;  // lower case
  friend bool operator==(const Digest&, const Digest&) = default;
};

// Upper or lower case, exactly the algorithm's size.
std::optional<Digest> digest_from_hex(HashAlgorithm algorithm, std::string_view hex);

// Of Repr-Digest or ContentDigest. Members of unknown algorithms and of the wrong size are left out; a field that is no
// dictionary counts as absent.
std::vector<Digest> digests_of(const FieldSection& fields, FieldName name);

// Of the representation: Repr-Digest, and where it says nothing, Digest.
std::vector<Digest> representation_digests(const FieldSection& fields);

// The strongest, of equals the first; nullptr of none. Points into `digests`.
const Digest* strongest(const std::vector<Digest>& digests);

// "sha-256=HEX" or, told by its length, "sha-256=BASE64". On failure `why` says what is wrong, for the user.
std::optional<Digest> parse_checksum(std::string_view text, std::string& why);

}  // namespace tributary::http

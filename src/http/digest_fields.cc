#include "http/digest_fields.h"

#include <algorithm>

#include "http/base64.h"
#include "http/structured_fields.h"
#include "http/text.h"

namespace tributary::http {
namespace {

struct Known {
  HashAlgorithm algorithm;
  std::string_view name;
  size_t size;
};
constexpr Known kKnown[] = {
    {HashAlgorithm::Md5, "md5", 16},        {HashAlgorithm::Sha1, "sha-1", 20},
    {HashAlgorithm::Sha224, "sha-224", 28}, {HashAlgorithm::Sha256, "sha-256", 32},
    {HashAlgorithm::Sha384, "sha-384", 48}, {HashAlgorithm::Sha512, "sha-512", 64},
};

const Known& known(HashAlgorithm algorithm) {
  return kKnown[static_cast<size_t>(algorithm)];
}

std::string without_hyphens(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c != '-') out += to_lower(c);
  }
  return out;
}

std::optional<Digest> digest_from_base64(HashAlgorithm algorithm, std::string_view text) {
  auto bytes = base64_decode(text);
  if (!bytes || bytes->size() != hash_size(algorithm)) return std::nullopt;
  return Digest{algorithm, std::move(*bytes)};
}

// RFC 3230, 4.3.2: 1#(algorithm "=" value), the value base64 for the algorithms that we know.
std::vector<Digest> instance_digests(const FieldSection& fields) {
  std::vector<Digest> digests;
  fields.for_each_element(FieldName::Digest, [&](std::string_view element) {
    const size_t equals = std::min(element.find('='), element.size());
    const auto algorithm = find_hash(trim_ows(element.substr(0, equals)));
    if (!algorithm || digests.size() == kMaxMembers) return;
    auto digest = digest_from_base64(*algorithm, trim_ows(element.substr(std::min(equals + 1, element.size()))));
    if (digest) digests.push_back(std::move(*digest));
  });
  return digests;
}

}  // namespace

size_t hash_size(HashAlgorithm algorithm) {
  return known(algorithm).size;
}

std::string_view hash_name(HashAlgorithm algorithm) {
  return known(algorithm).name;
}

std::optional<HashAlgorithm> find_hash(std::string_view name) {
  if (name.size() > 16) return std::nullopt;
  const std::string bare = without_hyphens(name);
  if (bare == "sha") return HashAlgorithm::Sha1;
  for (const Known& each : kKnown) {
    if (bare == without_hyphens(each.name)) return each.algorithm;
  }
  return std::nullopt;
}

std::string Digest::hex() const {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kHex[static_cast<uint8_t>(c) >> 4];
    out += kHex[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

std::optional<Digest> digest_from_hex(HashAlgorithm algorithm, std::string_view hex) {
  if (hex.size() != 2 * hash_size(algorithm)) return std::nullopt;
  Digest digest{algorithm, {}};
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_value(hex[i]), low = hex_value(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest.bytes += static_cast<char>(high << 4 | low);
  }
  return digest;
}

std::vector<Digest> digests_of(const FieldSection& fields, FieldName name) {
  std::vector<StructuredMember> members;
  bool valid = true;
  fields.for_each(name, [&](std::string_view line) { valid = valid && append_dictionary(line, members); });
  std::vector<Digest> digests;
  for (const StructuredMember& member : members) {
    if (!valid || member.is_inner_list || member.item.type != StructuredItem::Type::Bytes) continue;
    const auto algorithm = find_hash(member.key);
    if (!algorithm) continue;
    if (auto digest = digest_from_base64(*algorithm, member.item.text)) digests.push_back(std::move(*digest));
  }
  return digests;
}

std::vector<Digest> representation_digests(const FieldSection& fields) {
  auto digests = digests_of(fields, FieldName::ReprDigest);
  return digests.empty() ? instance_digests(fields) : digests;
}

const Digest* strongest(const std::vector<Digest>& digests) {
  const auto is_weaker = [](const Digest& a, const Digest& b) { return a.algorithm < b.algorithm; };
  const auto best = std::max_element(digests.begin(), digests.end(), is_weaker);
  return best == digests.end() ? nullptr : &*best;
}

std::optional<Digest> parse_checksum(std::string_view text, std::string& why) {
  text = trim_ows(text);
  const size_t mark = text.find('=');
  if (mark == std::string_view::npos) {
    why = "a checksum is written ALGORITHM=VALUE, for example sha-256=9f86d0…";
    return std::nullopt;
  }
  const std::string_view name = trim_ows(text.substr(0, mark));
  const std::string_view value = trim_ows(text.substr(mark + 1));
  const auto algorithm = find_hash(name);
  if (!algorithm) {
    why = "no such checksum algorithm: \"" + std::string(name) + "\"; there are";
    for (const Known& each : kKnown) why.append(" ").append(each.name);
    return std::nullopt;
  }
  auto digest = digest_from_hex(*algorithm, value);
  if (!digest) digest = digest_from_base64(*algorithm, value);
  if (digest) return digest;
  const size_t size = hash_size(*algorithm);
  why = "\"" + std::string(value) + "\" is no checksum of " + std::string(hash_name(*algorithm)) + ": that has " +
        std::to_string(2 * size) + " hexadecimal digits (or " + std::to_string((size + 2) / 3 * 4) +
        " characters of base64), this has " + std::to_string(value.size());
  return std::nullopt;
}

}  // namespace tributary::http

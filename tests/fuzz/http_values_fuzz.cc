// Field values with a grammar of their own, one input for all of their readers.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/base64.h"
#include "http/digest_fields.h"
#include "http/link.h"

using namespace tributary;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_digests(std::string_view text, const http::FieldSection& fields) {
  for (const http::FieldName name : {http::FieldName::ReprDigest, http::FieldName::ContentDigest}) {
    for (const http::Digest& digest : http::digests_of(fields, name)) {
      require(digest.bytes.size() == http::hash_size(digest.algorithm));
      require(http::digest_from_hex(digest.algorithm, digest.hex()) == digest);
    }
  }
  const auto digests = http::representation_digests(fields);
  require((http::strongest(digests) == nullptr) == digests.empty());
  std::string why;
  const auto checksum = http::parse_checksum(text, why);
  require(checksum.has_value() == why.empty());
  if (const auto bytes = http::base64_decode(text)) {
    require(http::base64_decode(http::base64_encode(*bytes)) == bytes);
  }
  require(http::base64_decode(http::base64_encode(text)) == text);
}

void check_links(const http::FieldSection& fields) {
  const auto links = http::download_links(fields, *http::Url::parse("https://example.com/a/b?c"));
  require(links.duplicates.size() + links.metalinks.size() <= http::kMaxLinks);
  uint32_t priority = 1;
  for (const http::DuplicateLink& link : links.duplicates) {
    require(link.priority >= priority && link.priority <= http::kLowestPriority && !link.url.empty());
    require(link.location.empty() || link.location.size() == 2);
    priority = link.priority;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  http::FieldSection fields;
  for (const http::FieldName name : {http::FieldName::ReprDigest, http::FieldName::ContentDigest, http::FieldName::Digest,
                                     http::FieldName::Link}) {
    fields.add(name, text);
  }
  check_digests(text, fields);
  check_links(fields);
  return 0;
}

// Metalink documents: files, their sizes and hashes, and where each may be had. Version 4 (RFC 5854) and 3
// (metalinker.org), told apart by their namespaces.
//
// The document is hostile until shown otherwise. A document type declaration is refused, so that there are no entities but XML's
// own five; depth, text, numbers of files, sources and piece hashes are bounded; nothing is fetched by reading. Names are relative
// paths of harmless components (fetch/file_name.h), or the file is passed over. Sources of schemes other than http
// and https, torrents among them even where their URL is https, are passed over. Credentials meant for the document are not
// meant for what it points to (CVE-2021-22923).
//
// Pure; any thread, for big documents the offload pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/digest_fields.h"
#include "http/url.h"

namespace tributary::fetch {

struct MetalinkSource {
  http::Url url;
  uint32_t priority = 0;  // 1 to http::kLowestPriority, the smaller the better; of version 3: 101 - preference
  std::string location;   // ISO 3166 in lower case, or empty
};

// Hashes of consecutive pieces of `length` bytes each, the last being what is left.
struct PieceHashes {
  http::HashAlgorithm algorithm = http::HashAlgorithm::Sha1;
  uint64_t length = 0;
  std::string bytes;  // hash_size(algorithm) for each piece, one behind the other

  size_t count() const { return bytes.size() / http::hash_size(algorithm); }
  std::string_view operator[](size_t piece) const {
    const size_t size = http::hash_size(algorithm);
    return std::string_view(bytes).substr(piece * size, size);
  }
};

struct MetalinkFile {
  std::string path;  // relative, "/" between components; never empty, no ".."
  std::optional<uint64_t> size;
  std::vector<http::Digest> digests;      // in the order of the document
  std::optional<PieceHashes> pieces;      // of several the strongest; only if they are complete
  std::vector<MetalinkSource> sources;    // best first, of equals in the order of the document; never empty
};

struct Metalink {
  int version = 4;
  std::vector<MetalinkFile> files;  // never empty, their paths all different
  size_t passed_over = 0;           // files without a name or source that can be used
};

inline constexpr size_t kMaxMetalink = 32 * 1024 * 1024;  // bytes
inline constexpr size_t kMaxMetalinkFiles = 10000;
inline constexpr size_t kMaxMetalinkSources = 1000;  // a file; further ones are passed over

// Nothing when it is no such document or there is nothing in it to fetch; `why` says what and in which line.
std::optional<Metalink> parse_metalink(std::string_view text, std::string& why);

}  // namespace tributary::fetch

// A Metalink document: what is taken from it is within its limits, and no path leads out.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fetch/metalink.h"
#include "http/link.h"

using namespace tributary;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const fetch::MetalinkFile& file) {
  const std::string path = "/" + file.path + "/";
  require(path.find("/.") == std::string::npos && path.find("//") == std::string::npos && path.find('\\') == std::string::npos);
  require(!file.sources.empty() && file.sources.size() <= fetch::kMaxMetalinkSources);
  uint32_t priority = 1;
  for (const fetch::MetalinkSource& source : file.sources) {
    require(!source.url.empty() && source.priority >= priority && source.priority <= http::kLowestPriority);
    priority = source.priority;
  }
  for (const http::Digest& digest : file.digests) require(digest.bytes.size() == http::hash_size(digest.algorithm));
  if (!file.pieces) return;
  require(file.pieces->length > 0 && file.pieces->bytes.size() % http::hash_size(file.pieces->algorithm) == 0);
  if (file.size) require((file.pieces->count() == 0) == (*file.size == 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool wrapped : {false, true}) {
    // As a document, and as what is inside of one: most mutations of a whole document are no XML any more.
    const std::string document = wrapped ? "<metalink xmlns='urn:ietf:params:xml:ns:metalink'>" + std::string(text) + "</metalink>" : std::string(text);
    std::string why;
    const auto metalink = fetch::parse_metalink(document, why);
    require(metalink.has_value() == why.empty());
    if (!metalink) continue;
    require(!metalink->files.empty() && metalink->files.size() <= fetch::kMaxMetalinkFiles);
    for (const fetch::MetalinkFile& file : metalink->files) check(file);
  }
  return 0;
}

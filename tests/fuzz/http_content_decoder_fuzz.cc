// Content codings: the first byte chooses one, the second how the rest is cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/content_decoder.h"

using namespace tributary;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  constexpr std::string_view kCodings[] = {"gzip", "br", "zstd"};
  const auto decoder = http::ContentDecoder::make(kCodings[data[0] % 3]);
  const size_t step = data[1] % 64 + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  char room[512];
  size_t total = 0;
  for (size_t at = 0; at < bytes.size(); at += step) {
    std::string_view input = bytes.substr(at, step);
    size_t produced = sizeof room;
    while (!input.empty() || produced == sizeof room) {
      const auto progress = decoder->decode(input, room);
      if (progress.consumed > input.size() || progress.produced > sizeof room) std::abort();
      if (progress.is_broken) return 0;
      if (progress.consumed == 0 && progress.produced == 0 && !input.empty()) return 0;
      input.remove_prefix(progress.consumed);
      produced = progress.produced;
      total += produced;
      if (total > (1 << 20)) return 0;
    }
  }
  return 0;
}

// Content codings undone however the bytes come (RFC 9110, 8.4.1).
#include "http/content_decoder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tributary::http {
namespace {

std::string unhex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

std::string plain() {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "tributary ";
  return text;
}

struct Coded {
  std::string_view coding;
  std::string bytes;
};
std::vector<Coded> coded() {
  return {{"gzip", unhex("1f8b08000000000002032b29ca4c2a2d492caa542819650d021600bfb8429b90010000")},
          {"br", unhex("1b8f0100a441c2e4f25421a49592ea1002d900")},
          {"zstd", unhex("28b52ffd6090008d00005074726962757461727920010083550b12")}};
}

// What comes out, with "…" at the end when it is not whole, or "broken".
std::string decode(std::string_view coding, std::string_view bytes, size_t step, size_t room) {
  const auto decoder = ContentDecoder::make(coding);
  std::string out, buffer(room, '\0');
  for (size_t at = 0; at < bytes.size(); at += step) {
    std::string_view input = bytes.substr(at, step);
    size_t produced = room;
    while (!input.empty() || produced == room) {
      const auto progress = decoder->decode(input, buffer);
      if (progress.is_broken) return "broken";
      if (progress.consumed == 0 && progress.produced == 0 && !input.empty()) return "stuck";
      input.remove_prefix(progress.consumed);
      produced = progress.produced;
      out.append(buffer, 0, produced);
    }
  }
  return decoder->is_at_end() ? out : out + "…";
}

TEST(ContentDecoder, UndoesEachCodingHoweverTheBytesComeAndGo) {
  for (const Coded& one : coded()) {
    for (const size_t step : {1, 2, 7, 1000}) {
      for (const size_t room : {1, 3, 400, 4096}) EXPECT_EQ(decode(one.coding, one.bytes, step, room), plain()) << one.coding << step << ' ' << room;
    }
  }
}

TEST(ContentDecoder, WhatIsCutOffIsNotWhole) {
  for (const Coded& one : coded()) {
    for (size_t size = 1; size < one.bytes.size(); ++size) {
      const std::string out = decode(one.coding, std::string_view(one.bytes).substr(0, size), 1, 64);
      EXPECT_TRUE(out.ends_with("…")) << one.coding << size << ' ' << out;
    }
  }
}

TEST(ContentDecoder, GzipAndZstdMayGoOnAndBrotliMayNot) {
  for (const Coded& one : coded()) {
    const std::string twice = decode(one.coding, one.bytes + one.bytes, 5, 64);
    EXPECT_EQ(twice, one.coding == "br" ? "broken" : plain() + plain()) << one.coding;
    EXPECT_EQ(decode(one.coding, one.bytes + std::string(20, 'x'), 5, 64), "broken") << one.coding;
  }
}

TEST(ContentDecoder, AChangedByteOfGzipIsNoticed) {
  const std::string good = coded()[0].bytes;
  for (size_t at = 10; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_NE(decode("gzip", bad, 100, 64), plain()) << at;
  }
}

TEST(ContentDecoder, ALargerWindowThanRfc9659AllowsIsRefused) {
  // A frame header with a window of 16 MiB (RFC 8878, 3.1.1.1.2: exponent 14), then an empty last block.
  EXPECT_EQ(decode("zstd", std::string("\x28\xb5\x2f\xfd\x00\x70\x01\x00\x00", 9), 100, 64), "broken");
  EXPECT_EQ(decode("zstd", std::string("\x28\xb5\x2f\xfd\x00\x68\x01\x00\x00", 9), 100, 64), "");  // 8 MiB
}

TEST(ContentDecoder, KnowsItsNames) {
  for (const char* name : {"gzip", "GZIP", "x-gzip", "br", "zstd"}) EXPECT_TRUE(ContentDecoder::make(name)) << name;
  for (const char* name : {"", "identity", "deflate", "gzip, br", "compress"}) EXPECT_FALSE(ContentDecoder::make(name)) << name;
}

}  // namespace
}  // namespace tributary::http

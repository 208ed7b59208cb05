#include "http/content_decoder.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "http/text.h"

namespace tributary::http {
namespace {

class Gzip final : public ContentDecoder {
 public:
  Gzip() { is_ready_ = ::inflateInit2(&stream_, MAX_WBITS + 16) == Z_OK; }
  ~Gzip() override {
    if (is_ready_) ::inflateEnd(&stream_);
  }

  Progress decode(std::string_view input, std::span<char> output) override {
    constexpr size_t kMost = std::numeric_limits<uInt>::max();
    Progress progress;
    progress.is_broken = !is_ready_;
    while (!progress.is_broken && progress.produced < output.size()) {
      const size_t left = input.size() - progress.consumed;
      if (is_at_end_) {  // of a member: RFC 1952, 2.2 lets another follow
        if (left == 0) break;
        ::inflateReset(&stream_);
        is_at_end_ = false;
      }
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data() + progress.consumed));
      stream_.avail_in = static_cast<uInt>(std::min(left, kMost));
      stream_.next_out = reinterpret_cast<Bytef*>(output.data() + progress.produced);
      stream_.avail_out = static_cast<uInt>(std::min(output.size() - progress.produced, kMost));
      const uInt in = stream_.avail_in, out = stream_.avail_out;
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      progress.consumed += in - stream_.avail_in;
      progress.produced += out - stream_.avail_out;
      is_at_end_ = result == Z_STREAM_END;
      if (result == Z_BUF_ERROR) break;  // it wants more input
      progress.is_broken = result != Z_OK && result != Z_STREAM_END;
    }
    return progress;
  }
  bool is_at_end() const override { return is_at_end_; }

 private:
  z_stream stream_{};
  bool is_ready_ = false;
  bool is_at_end_ = false;
};

// The large windows of RFC 9841 are off, as its section 6 wants for the coding "br".
class Brotli final : public ContentDecoder {
 public:
  Brotli() : state_(::BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {}
  ~Brotli() override { ::BrotliDecoderDestroyInstance(state_); }

  Progress decode(std::string_view input, std::span<char> output) override {
    if (!state_) return {0, 0, true};
    if (is_at_end()) return {0, 0, !input.empty()};  // nothing may follow
    size_t in = input.size(), out = output.size();
    auto next_in = reinterpret_cast<const uint8_t*>(input.data());
    auto next_out = reinterpret_cast<uint8_t*>(output.data());
    const BrotliDecoderResult result = ::BrotliDecoderDecompressStream(state_, &in, &next_in, &out, &next_out, nullptr);
    return {input.size() - in, output.size() - out, result == BROTLI_DECODER_RESULT_ERROR || (is_at_end() && in > 0)};
  }
  bool is_at_end() const override { return ::BrotliDecoderIsFinished(state_) != BROTLI_FALSE; }

 private:
  BrotliDecoderState* state_;
};

class Zstd final : public ContentDecoder {
 public:
  Zstd() : stream_(::ZSTD_createDStream()) {
    if (stream_) ::ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kWindowLog);
  }
  ~Zstd() override { ::ZSTD_freeDStream(stream_); }

  Progress decode(std::string_view input, std::span<char> output) override {
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    ZSTD_outBuffer out{output.data(), output.size(), 0};
    bool is_broken = !stream_;
    while (!is_broken && out.pos < out.size && (in.pos < in.size || !is_at_end_)) {
      const size_t in_before = in.pos, out_before = out.pos;
      const size_t result = ::ZSTD_decompressStream(stream_, &out, &in);
      is_broken = ::ZSTD_isError(result) != 0;
      is_at_end_ = result == 0;
      if (in.pos == in_before && out.pos == out_before) break;  // it wants more input
    }
    return {in.pos, out.pos, is_broken};
  }
  bool is_at_end() const override { return is_at_end_; }

 private:
  static constexpr int kWindowLog = 23;  // RFC 9659: 8 MB
  ZSTD_DStream* stream_;
  bool is_at_end_ = false;
};

}  // namespace

std::unique_ptr<ContentDecoder> ContentDecoder::make(std::string_view coding) {
  if (equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip")) return std::make_unique<Gzip>();
  if (equal_ignoring_case(coding, "br")) return std::make_unique<Brotli>();
  if (equal_ignoring_case(coding, "zstd")) return std::make_unique<Zstd>();
  return nullptr;
}

}  // namespace tributary::http

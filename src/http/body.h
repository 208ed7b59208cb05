// How content crosses layers: a source that is polled, and tells when polling again is worth while.
//
//   while (there is room for more) {
//     switch (source.read(part, room)) {
//       case BodyRead::Part:  send part; break;
//       case BodyRead::Wait:  return;            // the source calls its ready callback later
//       case BodyRead::End:   finish; …
//       case BodyRead::Failed: abort with source.error(); …
//     }
//   }
//
// So back-pressure needs no queue: who has no room does not read. Loop-affine. The ready callback never runs from inside
// read(), and at most once per Wait. Destroying a source cancels what feeds it, at once and for good.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/callback.h"
#include "core/error.h"
#include "core/slice.h"
#include "http/fields.h"

namespace tributary::http {

// A stretch of content: bytes in memory, or bytes of a file that are in the page cache, for sendfile.
struct BodyPart {
  core::Slice bytes;                   // when file < 0
  int file = -1;                       // stays open at least while `hold` lives
  uint64_t file_offset = 0;
  uint64_t file_length = 0;
  std::shared_ptr<const void> hold;    // keeps the file range from being reused; release it when the bytes are sent

  bool is_file() const { return file >= 0; }
  uint64_t size() const { return is_file() ? file_length : bytes.size(); }
};

enum class BodyRead : uint8_t { Part, Wait, End, Failed };

class BodySource {
 public:
  virtual ~BodySource() = default;

  // The next part, of 1 to `at_most` bytes (at_most > 0). `part` is assigned only for BodyRead::Part. After End or
  // Failed every further call says the same.
  virtual BodyRead read(BodyPart& part, uint64_t at_most) = 0;

  // Who to call when read() may have something again. Set before the first read; replaced at will.
  virtual void set_ready(core::Callback<void()> ready) = 0;

  // Bytes that remain, when known (a declared Content-Length, a range).
  virtual std::optional<uint64_t> remaining() const { return std::nullopt; }

  // The trailer section, once read() said End; null when there is none.
  virtual const FieldSection* trailers() const { return nullptr; }

  // Why read() said Failed.
  virtual core::Error error() const = 0;
};

}  // namespace tributary::http

// Content codings undone (RFC 9110, 8.4.1): gzip (RFC 1952), br (RFC 7932), zstd (RFC 8878). No I/O; one user at a time.
//
// What comes is what a stranger sent: memory is bounded by the codings' windows (32 KiB, 16 MiB, 8 MiB as RFC 9659 has it for zstd),
// whatever the input says. How much comes out is the caller's affair: it gives the room. At about 0.3 to 1 GB a
// second for gzip and more than that for the others this is work for the offload pool.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace tributary::http {

// The value of Accept-Encoding that asks for what can be undone.
inline constexpr std::string_view kAcceptedCodings = "gzip, br, zstd";

class ContentDecoder {
 public:
  // For one coding, in any case ("x-gzip" is gzip). nullptr: it is none of them.
  static std::unique_ptr<ContentDecoder> make(std::string_view coding);
  virtual ~ContentDecoder() = default;
  ContentDecoder(const ContentDecoder&) = delete;
  ContentDecoder& operator=(const ContentDecoder&) = delete;

  struct Progress {
    size_t consumed = 0, produced = 0;
    bool is_broken = false;  // this is no such coding; nothing may follow
  };
  // As much as goes: afterwards the input is used up or the output, which may not be empty, is full. Where the output is full there
  // may be more to come without any input.
  virtual Progress decode(std::string_view input, std::span<char> output) = 0;

  // What came so far is whole: the content may end here. gzip and zstd may go on with a further member or frame.
  virtual bool is_at_end() const = 0;

 protected:
  ContentDecoder() = default;
};

}  // namespace tributary::http

// Record: how a stored response stands in the index. Encoding and decoding only, no I/O.
//
//   u64 checksum of all that follows
//   u16 version  u8 place  u8 flags  u32 piece_size  u64 body_id  u64 length  u64 content checksum (Inline, Slot)  u64 due
//   u32 key size  u32 variant size  u32 etag size  u32 fields size  u32 inline size  u32 pieces   StoredMeta
//   then the texts in that order, then the pieces: u32 chunk  u16 index  u8 class  u8 0  u32 length  u32 0  u64 checksum
//
// Little-endian, packed as listed. The reader believes nothing: whatever bytes it is given it returns a record whose
// views lie inside them and whose sizes agree with each other, or says no. Slots are checked against the segments by
// the caller (SegmentStore::is_taken), who knows them. A record of another version is a miss.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "cache/segment_store.h"
#include "cache/stored_meta.h"

namespace tributary::cache {

enum class Place : uint8_t {
  Inline,  // the content is in the record
  Slot,    // one slot holds it all, at most 64 KiB: read into memory as a whole
  Pieces,  // pieces[i] holds [i * piece_size, …); those with length 0 are not there (a partial object)
};

constexpr uint64_t kMaxInline = 4096;
constexpr uint64_t kMaxMemoryBody = 64 * 1024;
constexpr size_t kMaxPieces = 1 << 20;

struct PieceRecord {
  Slot slot;
  uint32_t length = 0;  // 0: not there
  uint64_t checksum = 0;
  friend bool operator==(const PieceRecord&, const PieceRecord&) = default;
};

struct Record {
  static constexpr uint8_t kUnverified = 1;  // written before an unclean end: check the content before use
  static constexpr uint8_t kTagged = 2;      // `fields` name tags, which the index has a table of (tags.h)

  Place place = Place::Inline;
  uint8_t flags = 0;
  uint64_t body_id = 0;
  uint64_t length = 0;           // of the whole content
  uint64_t content_checksum = 0; // Slot
  uint32_t piece_size = 0;       // Pieces
  uint64_t due = 0;              // when the eviction is to judge it (eviction.h)
  StoredMeta meta;
  std::string_view key, variant, etag, fields;
  std::string_view content;      // Inline
  std::vector<PieceRecord> pieces;  // Slot: exactly one

  size_t encoded_size() const;
  // `out` has encoded_size() bytes.
  void encode(char* out) const;
  // The views point into `bytes`.
  static bool decode(std::string_view bytes, Record& record);
  // Only what eviction and deletion need: the pieces and the body, without looking at the texts.
  static bool decode_pieces(std::string_view bytes, Record& record);
  // Changes an encoded record where it lies, and its checksum.
  static void change(char* bytes, size_t size, uint64_t due, bool unverified);
  uint64_t stored_bytes() const;  // content that is there
  uint64_t slot_bytes() const;    // what its slots take
};

}  // namespace tributary::cache

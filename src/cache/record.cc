#include "cache/record.h"

#include <bit>
#include <cstring>

#include "cache/hash.h"
#include "cache/object.h"

namespace tributary::cache {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr uint16_t kVersion = 3;

struct Header {
  uint64_t checksum;
  uint16_t version;
  uint8_t place;
  uint8_t flags;
  uint32_t piece_size;
  uint64_t body_id;
  uint64_t length;
  uint64_t content_checksum;
  uint64_t due;
  uint32_t key_size, variant_size, etag_size, fields_size, content_size, pieces;
  StoredMeta meta;
};
static_assert(sizeof(Header) == 72 + sizeof(StoredMeta));

struct PieceBytes {
  uint32_t chunk;
  uint16_t index;
  uint8_t size_class;
  uint8_t zero;
  uint32_t length;
  uint32_t zero2;
  uint64_t checksum;
};
static_assert(sizeof(PieceBytes) == 24);

constexpr size_t kChecked = sizeof(uint64_t);  // where the part under the checksum begins

bool decode_header(std::string_view bytes, Header& header) {
  if (bytes.size() < sizeof(Header)) return false;
  std::memcpy(&header, bytes.data(), sizeof(Header));
  if (header.version != kVersion || header.meta.version != kStoredMetaVersion) return false;
  if (header.place > static_cast<uint8_t>(Place::Pieces)) return false;
  if (header.key_size > kMaxKey || header.variant_size > kMaxFields || header.etag_size > kMaxFields ||
      header.fields_size > kMaxFields || header.content_size > kMaxInline || header.pieces > kMaxPieces) {
    return false;
  }
  const size_t size = sizeof(Header) + header.key_size + header.variant_size + header.etag_size +
                      header.fields_size + header.content_size + header.pieces * sizeof(PieceBytes);
  if (size != bytes.size()) return false;
  return checksum(bytes.substr(kChecked)) == header.checksum;
}

// The pieces must be those that the length and the piece size make.
bool decode_piece_list(const Header& header, const char* at, Record& record) {
  record.pieces.resize(header.pieces);
  const bool in_pieces = record.place == Place::Pieces;
  if (in_pieces) {
    const uint64_t size = header.piece_size;
    if (size != slot_size(SlotClass::K256) && size != slot_size(SlotClass::M1) && size != slot_size(SlotClass::M4)) {
      return false;
    }
    if (header.length == 0 || header.length > uint64_t{kMaxPieces} * size) return false;
    if ((header.length + size - 1) / size != header.pieces) return false;
  } else if (header.pieces != (record.place == Place::Slot ? 1 : 0)) {
    return false;
  }
  for (size_t i = 0; i < record.pieces.size(); ++i, at += sizeof(PieceBytes)) {
    PieceBytes raw;
    std::memcpy(&raw, at, sizeof(raw));
    if (raw.size_class >= kSlotClasses) return false;
    PieceRecord& piece = record.pieces[i];
    piece = {.slot = {raw.chunk, raw.index, static_cast<SlotClass>(raw.size_class)},
             .length = raw.length,
             .checksum = raw.checksum};
    const uint64_t first = i * uint64_t{header.piece_size};
    const uint64_t full = in_pieces ? std::min<uint64_t>(header.piece_size, header.length - first) : header.length;
    if (piece.length != full && !(in_pieces && piece.length == 0)) return false;
    if (piece.length > slot_size(piece.slot.size_class)) return false;
  }
  return true;
}

void fill_from(const Header& header, Record& record) {
  record.place = static_cast<Place>(header.place);
  record.flags = header.flags;
  record.body_id = header.body_id;
  record.length = header.length;
  record.content_checksum = header.content_checksum;
  record.piece_size = header.piece_size;
  record.due = header.due;
  record.meta = header.meta;
}

}  // namespace

size_t Record::encoded_size() const {
  return sizeof(Header) + key.size() + variant.size() + etag.size() + fields.size() + content.size() +
         pieces.size() * sizeof(PieceBytes);
}

void Record::encode(char* out) const {
  Header header{};
  header.version = kVersion;
  header.place = static_cast<uint8_t>(place);
  header.flags = flags;
  header.piece_size = piece_size;
  header.body_id = body_id;
  header.length = length;
  header.content_checksum = content_checksum;
  header.due = due;
  header.key_size = static_cast<uint32_t>(key.size());
  header.variant_size = static_cast<uint32_t>(variant.size());
  header.etag_size = static_cast<uint32_t>(etag.size());
  header.fields_size = static_cast<uint32_t>(fields.size());
  header.content_size = static_cast<uint32_t>(content.size());
  header.pieces = static_cast<uint32_t>(pieces.size());
  header.meta = meta;
  char* at = out + sizeof(Header);
  for (std::string_view text : {key, variant, etag, fields, content}) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    at += text.size();
  }
  for (const PieceRecord& piece : pieces) {
    const PieceBytes raw{.chunk = piece.slot.chunk,
                         .index = piece.slot.index,
                         .size_class = static_cast<uint8_t>(piece.slot.size_class),
                         .zero = 0,
                         .length = piece.length,
                         .zero2 = 0,
                         .checksum = piece.checksum};
    std::memcpy(at, &raw, sizeof(raw));
    at += sizeof(raw);
  }
  std::memcpy(out, &header, sizeof(header));
  const size_t size = static_cast<size_t>(at - out);
  header.checksum = checksum({out + kChecked, size - kChecked});
  std::memcpy(out, &header.checksum, sizeof(header.checksum));
}

bool Record::decode(std::string_view bytes, Record& record) {
  Header header;
  if (!decode_header(bytes, header)) return false;
  fill_from(header, record);
  const char* at = bytes.data() + sizeof(Header);
  const auto take = [&at](uint32_t size) {
    const std::string_view text(at, size);
    at += size;
    return text;
  };
  record.key = take(header.key_size);
  record.variant = take(header.variant_size);
  record.etag = take(header.etag_size);
  record.fields = take(header.fields_size);
  record.content = take(header.content_size);
  if (record.key.empty()) return false;
  if (record.content.size() != (record.place == Place::Inline ? record.length : 0)) return false;
  if (record.place == Place::Slot && (record.length == 0 || record.length > kMaxMemoryBody)) return false;
  return decode_piece_list(header, at, record);
}

bool Record::decode_pieces(std::string_view bytes, Record& record) {
  Header header;
  if (!decode_header(bytes, header)) return false;
  fill_from(header, record);
  return decode_piece_list(header, bytes.data() + bytes.size() - header.pieces * sizeof(PieceBytes), record);
}

void Record::change(char* bytes, size_t size, uint64_t due, bool unverified) {
  std::memcpy(bytes + offsetof(Header, due), &due, sizeof(due));
  if (unverified) bytes[offsetof(Header, flags)] = static_cast<char>(bytes[offsetof(Header, flags)] | kUnverified);
  const uint64_t sum = checksum({bytes + kChecked, size - kChecked});
  std::memcpy(bytes, &sum, sizeof(sum));
}

uint64_t Record::stored_bytes() const {
  if (place == Place::Inline) return length;
  uint64_t bytes = 0;
  for (const PieceRecord& piece : pieces) bytes += piece.length;
  return bytes;
}

uint64_t Record::slot_bytes() const {
  uint64_t bytes = 0;
  for (const PieceRecord& piece : pieces) bytes += piece.length > 0 ? slot_size(piece.slot.size_class) : 0;
  return bytes;
}

}  // namespace tributary::cache

// The index's records: whatever bytes stand there, decoding them neither crashes nor yields a view outside of them. The
// checksum is made right first, or no input would ever get past it.
#include <cstdlib>
#include <cstring>
#include <string>

#include "cache/hash.h"
#include "cache/record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tributary::cache;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  Record record;
  Record::decode(bytes, record);
  if (bytes.size() <= 8) return 0;
  const uint64_t sum = checksum(std::string_view(bytes).substr(8));
  std::memcpy(bytes.data(), &sum, 8);
  Record pieces;
  const bool readable = Record::decode_pieces(bytes, pieces);
  if (!Record::decode(bytes, record)) return 0;
  if (!readable || pieces.pieces != record.pieces) std::abort();
  for (const std::string_view text : {record.key, record.variant, record.etag, record.fields, record.content}) {
    if (text.data() < bytes.data() || text.data() + text.size() > bytes.data() + bytes.size()) std::abort();
  }
  // What was understood encodes to the same bytes, but for those that have no meaning.
  std::string again(record.encoded_size(), '\0');
  record.encode(again.data());
  Record back;
  if (again.size() != bytes.size() || !Record::decode(again, back)) std::abort();
  if (back.pieces != record.pieces || back.length != record.length || back.key != record.key) std::abort();
  return 0;
}

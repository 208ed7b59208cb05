// Covering: what to ask an origin for when a client wants a part of an object that the cache has not got, or not all of. Whole
// pieces around it, so that what comes can be stored and serves the neighbours too, and not the whole object. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "http/range.h"

namespace tributary::proxy {

// Of an object of unknown length, hence of unknown piece size: the size that most have.
constexpr uint64_t kCoveringAlignment = uint64_t{1} << 20;

// Objects up to this size are stored whole or not at all.
constexpr uint64_t kSmallObject = 64 * 1024;

// The Range value for an object that is absent: what covers the first of `specs`; the others are fetched when the length
// is known. Empty: nothing sensible covers it, ask as the client wrote.
std::string covering_range(const std::vector<http::RangeSpec>& specs);

// `range` of an object of `length` bytes, widened to whole pieces; `piece` 0: unchanged.
http::ByteRange whole_pieces(http::ByteRange range, uint64_t piece, uint64_t length);

// The first stretch of `wanted` that is not in `present` (ordered, disjoint), in whole pieces, but nothing of what is
// present; none when all is there.
std::optional<http::ByteRange> first_lacking(std::span<const http::ByteRange> present, http::ByteRange wanted, uint64_t piece,
                                             uint64_t length);

}  // namespace tributary::proxy

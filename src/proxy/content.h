// Small body sources that the request machine puts between an origin and a client. Loop-affine.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cache/store.h"
#include "core/slice.h"
#include "http/body.h"
#include "http/range.h"

namespace tributary::proxy {

// `first`, then what `rest` has.
std::unique_ptr<http::BodySource> prepend(core::Slice first, std::unique_ptr<http::BodySource> rest);

// `size` bytes of `source`, from byte `skip` on; it is read no further. A source that ends before is Failed.
std::unique_ptr<http::BodySource> window(std::unique_ptr<http::BodySource> source, uint64_t skip, uint64_t size);

// `source`, of which what has gone by is stored as `parts` when it ends well, and is no more than kMaxMemoryBody.
std::unique_ptr<http::BodySource> storing(std::unique_ptr<http::BodySource> source, cache::WorkerCache& cache,
                                          cache::ObjectParts parts);

// A multipart/byteranges body: parts[i] brings exactly framing.range(i).
std::unique_ptr<http::BodySource> multipart(http::MultipartRanges framing,
                                            std::vector<std::unique_ptr<http::BodySource>> parts);

}  // namespace tributary::proxy

// Small body sources that the request machine puts between an origin and a client. Loop-affine.
#pragma once

#include <memory>

#include "core/slice.h"
#include "http/body.h"

namespace tributary::proxy {

// `first`, then what `rest` has.
std::unique_ptr<http::BodySource> prepend(core::Slice first, std::unique_ptr<http::BodySource> rest);

}  // namespace tributary::proxy

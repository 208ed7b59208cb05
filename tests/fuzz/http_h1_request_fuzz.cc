// HTTP/1 requests: however the bytes are cut, the parser says the same; see h1_property.h (V-1).
#include "h1_property.h"

#include "http/h1.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tributary::http::testing::check_h1(tributary::http::H1Parser::Kind::Request,
                                     {reinterpret_cast<const char*>(data), size});
  return 0;
}

// What an answer of the admin listener is, and one that takes a while. No socket here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace tributary::admin {

struct Response {
  uint16_t status = 200;
  std::string content_type;
  std::string content;
  std::string allow;  // for 405
};

// Called once, on the listener's loop, never from inside the call that it was given to.
using Answer = std::function<void(Response)>;

// Work under way for one request. Destroying it, also from inside its answer, means that nobody waits any more: no answer
// follows.
class Operation {
 public:
  virtual ~Operation() = default;
};

}  // namespace tributary::admin

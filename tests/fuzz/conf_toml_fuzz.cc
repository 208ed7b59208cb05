// The configuration file: any bytes give a configuration or messages, and a configuration that was
// taken is written out as one that is taken again and is equal.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "conf/load.h"
#include "conf/schema.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tributary::conf;
  const Loaded loaded = parse({reinterpret_cast<const char*>(data), size}, "input");
  if (loaded.problems.size() > kMaxProblems) std::abort();
  if (!loaded.ok()) return 0;
  const Loaded again = parse(to_toml(loaded.config), "again");
  if (!again.ok() || !(again.config == loaded.config)) std::abort();
  return 0;
}

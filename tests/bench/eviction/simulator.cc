// eviction_simulator [--requests N] [--trace NAME]: the hit ratios of cache/eviction.h beside those of other policies, as a
// Markdown table; the one in docs/decisions/0009-eviction.md is made by it. Exit status 1 when LRU was ahead anywhere.
//
// Each trace runs with room for 1, 5 and 20 % of all its bytes.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "bench/eviction/policies.h"
#include "bench/eviction/traces.h"

int main(int argc, char** argv) {
  using namespace tributary::eviction;
  uint32_t requests = 300'000;
  std::string only;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--requests") == 0) requests = static_cast<uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
    if (std::strcmp(argv[i], "--trace") == 0) only = argv[i + 1];
  }
  std::printf("| trace | room |");
  for (const Named& policy : all_policies()) std::printf(" %s |", policy.name.c_str());
  std::printf(" moves |\n|---|---:|");
  for (size_t i = 0; i <= all_policies().size(); ++i) std::printf("---:|");
  std::printf("\n");
  int behind = 0;
  for (const auto& make_trace : all_traces(requests)) {
    const Trace trace = make_trace();
    if (trace.name.find(only) == std::string::npos) continue;
    for (const uint64_t percent : {1u, 5u, 20u}) {
      std::printf("| %s | %u %% |", trace.name.c_str(), static_cast<unsigned>(percent));
      double lru = 0, moves = 0;
      for (const Named& named : all_policies()) {
        const auto policy = named.make(trace.unique_bytes() / 100 * percent);
        const Ratios ratios = simulate(trace, *policy);
        if (named.name == "LRU") lru = ratios.objects;
        if (named.name == "tributary") {
          moves = ratios.moves;
          behind += ratios.objects < lru;
        }
        std::printf(" %.1f / %.1f |", 100 * ratios.objects, 100 * ratios.bytes);
      }
      std::printf(" %.2f |\n", moves);
      std::fflush(stdout);
    }
  }
  return behind > 0;
}

// Inspection: looking into a store from outside, for operators: what is there, page by page, what is known of one key, and
// whether everything still is what was stored. Nothing it does counts as use.
//
// Every call blocks (the index, files): offload threads, or a program that has no loop. Each is bounded, and a walk through
// everything is many calls with a cursor in between, so no transaction of the index is held for long, and who stops asking
// has cancelled. The store waits for copies of this before it ends: hold one in each job, and none for longer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/gate.h"
#include "cache/object.h"
#include "cache/refusals.h"
#include "cache/store.h"
#include "cache/stored_meta.h"

namespace tributary::cache {

class Inspection {
 public:
  explicit Inspection(Store& store);

  // --- the list ---

  struct Listed {
    std::string key, variant, content_type;
    StoredMeta meta;
    uint64_t length = 0;   // of the whole content
    uint64_t present = 0;  // of it
  };
  struct Page {
    std::vector<Listed> objects;
    std::string cursor;  // where to go on; empty: that was the end
  };
  static constexpr size_t kMostListed = 1000;
  static constexpr size_t kMostVisited = 20'000;  // a page may come back short, and even empty, before the end
  // Stored responses whose key begins with `prefix` (in normal form), in no order that means anything, but each once. What
  // comes or goes meanwhile may be in it or not. Nothing: that is no cursor of ours.
  std::optional<Page> list(std::string_view prefix, size_t limit, std::string_view cursor);

  // --- one key ---

  struct Known {
    std::vector<ObjectRef> variants;  // newest first
    std::optional<Refusal> refusal;   // why not, when nothing is stored and it is remembered
  };
  Known find(std::string_view key);

  // --- everything ---

  struct Damage {
    std::string key;  // empty: the record itself cannot be read
    std::string what;
  };
  struct Checked {
    uint64_t objects = 0;  // looked at to the end
    uint64_t bytes = 0;
    std::vector<Damage> damaged;  // of which what is damaged was dropped
    std::string cursor;           // as above
  };
  static constexpr uint64_t kCheckedAtOnce = uint64_t{32} << 20;
  static constexpr size_t kRecordsAtOnce = 2'000;
  // Reads on from `cursor`, about kCheckedAtOnce bytes.
  std::optional<Checked> check(std::string_view cursor);

 private:
  struct Place;
  bool check_record(Place& place, Checked& checked);

  StoreCore* core_;
  Gate::Pass pass_;
};

}  // namespace tributary::cache

// Purging: what an operator wants gone, by URL, prefix or tag, or everything.
//
//   Store::purge ──> PurgeLog (from here on nothing older that matches is published or loaded)
//               └──> Writer: sweeps the directory (memory tier, fills, what waits to be committed), then the index in
//                    bounded transactions; committed ──> PurgeWait
//
// So once the purge has been answered, no request is served what was stored, or had been asked for, before it. A response
// that is being sent goes on; an answer that was on its way is passed on and not stored: it carries the epoch at which it
// was asked for, and PurgeLog knows every purge since.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/loop.h"

namespace tributary::cache {

struct Selection {
  enum class By : uint8_t { Url, Prefix, Tag, All };
  By by = By::All;
  std::string text;  // a key; the beginning of one; a folded tag; empty

  // In normal form; nothing when `url` is no URL that could be stored. A prefix is a URL too, and ends where it ends:
  // "http://example.com" means that origin, not example.community.
  // `ignored`: cache.ignore_query, as keys are made (cache/key.h).
  static std::optional<Selection> url(std::string_view url, std::span<const std::string> ignored = {});
  static std::optional<Selection> prefix(std::string_view url, std::span<const std::string> ignored = {});
  static std::optional<Selection> tag(std::string_view tag);
  static Selection all() { return {}; }

  // `fields` in wire form; looked at for a tag only.
  bool matches(std::string_view key, std::string_view fields) const;
};

struct Purged {
  uint64_t objects = 0;  // how many stored responses went, variants counted each
  // Committed. False: the disk refuses at the moment. Nothing of it is served, but a restart before it succeeds would
  // bring it back.
  bool durable = true;
};

// Waits for a purge. A pinned member of whoever asked; destroying it forgets the wait, not the purge.
class PurgeWait {
 public:
  PurgeWait() = default;
  PurgeWait(const PurgeWait&) = delete;
  PurgeWait& operator=(const PurgeWait&) = delete;
  // Once the callback runs.
  const Purged& result() const { return state_->result; }

 private:
  friend class Store;
  struct State {
    Purged result;
  };
  std::shared_ptr<State> state_;
  std::optional<core::RemoteWaker> waker_;
};

// The purges of this session, numbered. Any thread; a mutex held for list work, and not taken while nothing was purged.
class PurgeLog {
 public:
  using Epoch = uint64_t;
  static constexpr size_t kKept = 1024;       // that are over
  static constexpr size_t kMostOpen = 4096;   // that are not

  // What is asked for now is as new as this.
  Epoch current() const { return current_.load(std::memory_order_acquire); }
  // Every purge up to here has reached the last corner of the store: what is found there is at least as new.
  Epoch settled() const { return settled_.load(std::memory_order_acquire); }

  // Nothing when too many are under way.
  std::optional<Epoch> add(std::shared_ptr<const Selection> selection);
  void settle(Epoch epoch);

  // Whether a purge since then wants this gone. Beyond what the log remembers the answer is yes.
  bool refuses(Epoch since, std::string_view key, std::string_view fields) const {
    return since < current() && refuses_slowly(since, key, fields);
  }

 private:
  struct Item {
    Epoch epoch = 0;
    std::shared_ptr<const Selection> selection;
    bool settled = false;
  };
  bool refuses_slowly(Epoch since, std::string_view key, std::string_view fields) const;

  std::atomic<Epoch> current_{0};
  std::atomic<Epoch> settled_{0};
  mutable std::mutex mutex_;
  std::deque<Item> items_;  // oldest first, without gaps
  size_t open_ = 0;
};

}  // namespace tributary::cache

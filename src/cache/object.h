// Object: one stored response, immutable and shared by every worker; Entry: all stored variants of one cache key.
//
// The life of an object, and what may be called when:
//
//   1. filling    made by WorkerCache::start_fill and published; its body grows, read it with ObjectReader only.
//   2. complete   the body is whole (`body().is_whole()`) or was given up part-way (`is_partial()`); the index does not
//                 know it yet, the directory serves it from memory. memory_body() is legal from here on.
//   3. committed  a durable record exists; memory may drop the object and read it back.
//   4. dead       replaced, invalidated, evicted or found corrupt: is_dead() says so without a lock. Who reads it may read
//                 on to the end (its body pins its slots), but it is not given to a new request. Final.
//
// Everything but the dead flag and the body is fixed when the object is made; a 304 makes a new Object that shares the
// body (RFC 9111 4.3.4). Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/body.h"
#include "cache/stored_meta.h"
#include "core/slice.h"
#include "core/time.h"
#include "http/fields.h"

namespace tributary::cache {

// When the origin was asked, as a store counts: what was purged or made invalid since then is kept out of it.
struct Epoch {
  static constexpr uint64_t kNow = UINT64_MAX;
  uint64_t purge = kNow;   // cache/purge.h
  uint64_t change = kNow;  // cache/invalidation_log.h
};

// What an object is made of; the caller fills it in.
struct ObjectParts {
  std::string key;      // the primary cache key (cache/key.h), at most kMaxKey bytes
  std::string variant;  // the secondary key (cache/vary.h); empty without Vary
  StoredMeta meta;
  std::string etag;     // the whole entity-tag as it came (W/ and quotes included); empty: none
  core::Slice fields;   // field lines ready for the wire, each ended by CRLF, no empty line; without connection-specific
                        // fields, Content-Length and Age, which depend on who asks
  Epoch epoch;          // Store::epoch() before the origin was asked
};

constexpr size_t kMaxKey = 16 * 1024;
constexpr size_t kMaxFields = 256 * 1024;

class Object {
 public:
  Object(ObjectParts parts, std::shared_ptr<Body> body);
  ~Object();
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  const std::string& key() const { return parts_.key; }
  const std::string& variant() const { return parts_.variant; }
  const StoredMeta& meta() const { return parts_.meta; }
  const std::string& etag() const { return parts_.etag; }
  const core::Slice& fields() const { return parts_.fields; }
  const ObjectParts& parts() const { return parts_; }
  // The stored fields as a section, for validation and for policy that reads fields. Costs a parse.
  void parse_fields(http::FieldSection& out) const;

  const BodyView& body() const;
  // The whole content when it lies in memory (at most 64 KiB and complete), else null: the fast way of a hit.
  const core::Slice* memory_body() const;

  bool is_dead() const { return dead_.load(std::memory_order_acquire); }
  void mark_dead() const { dead_.store(true, std::memory_order_release); }

  // When a background refresh may be tried (again). Any thread.
  core::TimePoint refresh_due() const { return refresh_due_.load(std::memory_order_relaxed); }
  void put_off_refresh(core::TimePoint until) const { refresh_due_.store(until, std::memory_order_relaxed); }

  // The store's own: the body with its pieces (cache/pieces.h).
  const std::shared_ptr<Body>& stored_body() const { return body_; }

  // Bytes of memory it holds, for the tiers' accounts.
  size_t memory_cost() const;

 private:
  const ObjectParts parts_;
  const std::shared_ptr<Body> body_;
  mutable std::atomic<core::TimePoint> refresh_due_{core::TimePoint{}};
  mutable std::atomic<bool> dead_{false};
};

// Shared, because a hit on any worker may outlive its eviction on all of them.
using ObjectRef = std::shared_ptr<const Object>;

// The variants of one key as they were at one moment; a change makes a new Entry and marks this one outdated, and so does
// the directory when it drops it. Newest first.
struct Entry {
  std::vector<ObjectRef> variants;
  mutable std::atomic<bool> outdated{false};
  mutable std::atomic<bool> touched{false};  // asked for since the directory last looked
  void touch() const {
    // Read first: what all workers serve is not written by each of them at every hit.
    if (!touched.load(std::memory_order_relaxed)) touched.store(true, std::memory_order_relaxed);
  }
  size_t memory_cost() const;  // with its objects
};
using EntryRef = std::shared_ptr<const Entry>;

}  // namespace tributary::cache

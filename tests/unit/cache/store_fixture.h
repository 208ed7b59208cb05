// What the store's tests share: a directory of their own, a pool, a registry, a loop that is pumped until something holds.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cache/store.h"

namespace tributary::cache {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "tributary-store-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
  std::string path;
};

// Bytes that tell where they are and whose they are.
inline std::string content_of(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (size_t i = 0; i < size; ++i) {
    if (i % 8 == 0) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
    }
    bytes[i] = static_cast<char>(state >> (8 * (i % 8)));
  }
  return bytes;
}

inline ObjectParts parts_for(std::string key, std::string variant = "") {
  ObjectParts parts;
  parts.key = std::move(key);
  parts.variant = std::move(variant);
  parts.meta.status = 200;
  parts.meta.response_time = 1700000000;
  parts.meta.date = 1700000000;
  parts.meta.lifetime = 3600;
  parts.meta.flags = kHasEtag | kStrongEtag | kAcceptRanges;
  parts.etag = "\"v1\"";
  parts.fields = core::Slice::copy("Content-Type: text/plain\r\nETag: \"v1\"\r\n");
  return parts;
}

// Reads a source to its end on one loop.
class Drain {
 public:
  Drain(core::Loop& loop, std::unique_ptr<http::BodySource> source, uint64_t step = UINT64_MAX)
      : source_(std::move(source)), step_(step), again_(loop) {
    source_->set_ready(core::Callback<void()>::to<&Drain::go>(this));
    again_.schedule(core::Callback<void()>::to<&Drain::go>(this));
  }

  void go() {
    for (int parts = 0; !done; ++parts) {
      if (parts == 64) {  // let others run
        again_.schedule(core::Callback<void()>::to<&Drain::go>(this));
        return;
      }
      http::BodyPart part;
      switch (source_->read(part, step_)) {
        case http::BodyRead::Part: take(part); break;
        case http::BodyRead::Wait: ++waits; return;
        case http::BodyRead::End: done = true; break;
        case http::BodyRead::Failed:
          done = failed = true;
          error = source_->error();
          break;
      }
    }
    if (on_done) on_done();
  }

  void take(const http::BodyPart& part) {
    if (!part.is_file()) {
      bytes.append(part.bytes.view());
      return;
    }
    ++file_parts;
    const size_t at = bytes.size();
    bytes.resize(at + part.file_length);
    const ssize_t n = ::pread(part.file, bytes.data() + at, part.file_length, static_cast<off_t>(part.file_offset));
    if (n != static_cast<ssize_t>(part.file_length)) ADD_FAILURE() << "short read of a part";
  }

  std::string bytes;
  bool done = false, failed = false;
  int waits = 0, file_parts = 0;
  core::Error error;
  std::function<void()> on_done;

 private:
  std::unique_ptr<http::BodySource> source_;
  uint64_t step_;
  core::Deferred again_;
};

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() { settings.directory = directory.path; settings.size = uint64_t{256} << 20; settings.memory = 32 << 20; settings.retry = std::chrono::milliseconds(100); }
  ~StoreTest() override { close(); }

  void open() {
    std::string why;
    store = Store::open(settings, *pool, registry, why);
    ASSERT_TRUE(store) << why;
    cache = std::make_unique<WorkerCache>(*store, loop);
  }
  void close() {
    cache.reset();
    store.reset();
  }
  void reopen() {
    close();
    open();
  }

  bool pump(const std::function<bool()>& until) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!until()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      loop.run_once(std::chrono::milliseconds(5));
    }
    return true;
  }

  // Looks a key up to the end, through loads.
  EntryRef find(const std::string& key) {
    EntryRef entry;
    PendingLookup pending;
    for (;;) {
      bool ready = false;
      auto on_ready = [&ready] { ready = true; };
      switch (cache->lookup(key, entry, pending, core::Callback<void()>::ref(on_ready))) {
        case Found::Hit: return entry;
        case Found::Miss: return nullptr;
        case Found::Pending: ++index_waits; break;
      }
      if (!pump([&] { return ready; })) {
        ADD_FAILURE() << "lookup of " << key << " never came back";
        return nullptr;
      }
    }
  }

  std::string read_all(const ObjectRef& object, bool* failed = nullptr) {
    Drain drain(loop, cache->read(object));
    EXPECT_TRUE(pump([&] { return drain.done; }));
    if (failed) *failed = drain.failed;
    return drain.bytes;
  }

  ObjectRef put(const std::string& key, const std::string& content) {
    if (content.size() <= 64 * 1024) return cache->store_whole(parts_for(key), core::Slice::copy(content), nullptr);
    auto fill = cache->start_fill(parts_for(key), content.size(), nullptr);
    if (!fill) return nullptr;
    const ObjectRef object = fill->object();
    for (size_t at = 0; at < content.size();) {
      if (!fill->has_room()) {
        bool room = false;
        auto on_room = [&room] { room = true; };
        fill->set_room_callback(core::Callback<void()>::ref(on_room));
        if (!pump([&] { return room; })) return nullptr;
        fill->set_room_callback({});
        continue;
      }
      const size_t n = std::min<size_t>(content.size() - at, 100'000);
      fill->write(at, core::Slice::copy({content.data() + at, n}));
      at += n;
    }
    fill->finish(content.size());
    if (!pump([&] { return !object->body().is_filling(); })) return nullptr;
    return object;
  }

  TemporaryDirectory directory;
  StoreSettings settings;
  // Loops outlive the pool: its threads may still be leaving Loop::post.
  core::Loop loop;
  std::vector<std::unique_ptr<core::Loop>> loops;
  core::Registry registry;
  std::unique_ptr<core::OffloadPool> pool = std::make_unique<core::OffloadPool>();
  std::unique_ptr<Store> store;
  std::unique_ptr<WorkerCache> cache;
  uint64_t index_waits = 0;  // of find(), for the index
};

}  // namespace tributary::cache

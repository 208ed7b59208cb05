// A store with many objects: how long opening it takes, until the first hit, and what it holds in memory; and what a slot's new
// pages cost (SegmentStore::renew). TRIBUTARY_OBJECTS=1000000 makes the store as large as docs/store.md says.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "cache/segment_store.h"
#include "cache/store.h"

namespace {

using namespace tributary;
using Clock = std::chrono::steady_clock;

struct Directory {
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "tributary-bench-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Directory() {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
  std::string path;
};

double milliseconds(Clock::duration span) { return std::chrono::duration<double, std::milli>(span).count(); }

// Anonymous memory: without the mapped index, whose pages the kernel takes back when it likes.
double resident_mib() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long size = 0, resident = 0, shared = 0;
  if (!file || std::fscanf(file, "%ld %ld %ld", &size, &resident, &shared) != 3) std::abort();
  std::fclose(file);
  return static_cast<double>(resident - shared) * 4096 / (1 << 20);
}

void open_many(benchmark::State& state) {
  const char* wanted = std::getenv("TRIBUTARY_OBJECTS");
  const long objects = wanted ? std::atol(wanted) : 10'000;
  Directory directory;
  core::OffloadPool pool;
  core::Registry registry;
  core::Loop loop;
  cache::StoreSettings settings;
  settings.directory = directory.path;
  settings.memory = uint64_t{64} << 20;
  const auto key = [](long i) { return "http://origin.example:8080/some/path/object-" + std::to_string(i); };
  std::string why;
  {
    cache::StoreSettings quick = settings;
    quick.sync = cache::Sync::Off;  // filling it is not what is measured
    auto store = cache::Store::open(quick, pool, registry, why);
    if (!store) std::abort();
    cache::WorkerCache cache(*store, loop);
    const core::Slice content = core::Slice::copy("a hundred bytes of content or so, to have a record of the usual size in the index of the store");
    for (long i = 0; i < objects; ++i) {
      cache::ObjectParts parts;
      parts.key = key(i);
      parts.meta.status = 200;
      parts.meta.lifetime = 3600;
      parts.fields = core::Slice::copy("Date: Sat, 21 Nov 2026 08:00:00 GMT\r\nContent-Type: application/octet-stream\r\nETag: \"653a1f00-400\"\r\n");
      cache.store_whole(std::move(parts), content, nullptr);
      if (i % 20'000 == 0) store->flush();
    }
    store->flush();
    state.counters["objects"] = static_cast<double>(store->stats().objects);
  }
  state.counters["index_MiB"] = static_cast<double>(std::filesystem::file_size(directory.path + "/data.mdb")) / (1 << 20);
  for (auto _ : state) {
    ::malloc_trim(0);
    const double before = resident_mib();
    const auto began = Clock::now();
    auto store = cache::Store::open(settings, pool, registry, why);
    if (!store) std::abort();
    const auto opened = Clock::now();
    cache::WorkerCache cache(*store, loop);
    cache::EntryRef entry;
    cache::PendingLookup pending;
    bool ready = true;
    auto on_ready = [&ready] { ready = true; };
    while (cache.lookup(key(objects - 1), entry, pending, core::Callback<void()>::ref(on_ready)) == cache::Found::Pending) {
      ready = false;
      do loop.run_once(std::chrono::milliseconds(1));
      while (!ready);
    }
    if (!entry) std::abort();
    const auto hit = Clock::now();
    cache.invalidate("nothing");
    store->flush();  // the filter has been filled by now, behind
    state.counters["open_ms"] = milliseconds(opened - began);
    state.counters["first_hit_ms"] = milliseconds(hit - began);
    state.counters["filter_ms"] = milliseconds(Clock::now() - began);
    state.counters["resident_MiB"] = resident_mib() - before;
  }
}
BENCHMARK(open_many)->Iterations(1)->Unit(benchmark::kMillisecond);

// What a piece pays so that no page a client still receives is written over, beside what writing the piece costs.
void renew_slot(benchmark::State& state) {
  const auto size_class = static_cast<cache::SlotClass>(state.range(0));
  const bool renews = state.range(1) != 0;
  Directory directory;
  cache::StoreFiles files;
  std::string why;
  if (files.open(directory.path, why) != cache::OpenFailure::None) std::abort();
  cache::SegmentStore segments(files, cache::kChunkSize * 4, cache::kChunkSize * 4, 0, false);
  if (!segments.add_segment().ok()) std::abort();
  const std::string content(cache::slot_size(size_class), 'x');
  cache::Slot slot;
  if (!segments.allocate(size_class, slot)) std::abort();
  const auto write = [&] {
    if (::pwrite(segments.fd(slot), content.data(), content.size(), static_cast<off_t>(segments.offset(slot))) < 0) std::abort();
  };
  write();
  for (auto _ : state) {
    if (renews && segments.renew(slot) != 0) std::abort();
    write();
  }
  state.SetBytesProcessed(static_cast<int64_t>(content.size()) * state.iterations());
  state.SetLabel(std::to_string(content.size() / 1024) + (renews ? " KiB, new pages" : " KiB, written over"));
}
BENCHMARK(renew_slot)->ArgsProduct({{1, 2, 3, 4}, {0, 1}});

}  // namespace

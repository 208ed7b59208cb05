// What the store costs a request, without a network: store_whole is the store's part of miss-1k (with the writer thread's
// work: see "cpu" of the process, printed as user counters), lookup_hot that of hit-1k, fill that of a large download.
#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "cache/store.h"

namespace {

using namespace tributary;

struct Rig {
  explicit Rig(uint64_t size) {
    std::string name = (std::filesystem::temp_directory_path() / "tributary-bench-XXXXXX").string();
    settings.directory = ::mkdtemp(name.data());
    settings.size = size;
    std::string why;
    store = cache::Store::open(settings, pool, registry, why);
    if (!store) std::abort();
    cache = std::make_unique<cache::WorkerCache>(*store, loop);
    cache->invalidate("nothing");
    store->flush();  // the membership filter is there now
  }
  ~Rig() {
    cache.reset();
    store.reset();
    std::error_code error;
    std::filesystem::remove_all(settings.directory, error);
  }
  cache::StoreSettings settings;
  core::OffloadPool pool;
  core::Registry registry;
  core::Loop loop;
  std::unique_ptr<cache::Store> store;
  std::unique_ptr<cache::WorkerCache> cache;
};

cache::ObjectParts parts_for(int64_t i) {
  cache::ObjectParts parts;
  parts.key = "http://origin.example:8080/some/path/object-" + std::to_string(i);
  parts.meta.status = 200;
  parts.meta.lifetime = 3600;
  static const core::Slice fields = core::Slice::copy(
      "Server: nginx\r\nDate: Sat, 21 Nov 2026 08:00:00 GMT\r\nContent-Type: application/octet-stream\r\n"
      "Last-Modified: Fri, 20 Nov 2026 08:00:00 GMT\r\nETag: \"653a1f00-400\"\r\nCache-Control: max-age=3600\r\n");
  parts.fields = fields;
  return parts;
}

double process_cpu() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void miss_whole(benchmark::State& state) {
  Rig rig(uint64_t{4} << 30);
  const core::Slice content = core::Slice::copy(std::string(static_cast<size_t>(state.range(0)), 'x'));
  const double before = process_cpu();
  int64_t i = 0;
  for (auto _ : state) {
    cache::ObjectParts parts = parts_for(i++);
    cache::EntryRef entry;
    cache::PendingLookup pending;
    cache::Fetch fetch;
    benchmark::DoNotOptimize(rig.cache->lookup(parts.key, entry, pending, {}));
    rig.cache->begin_fetch(parts.key, fetch, {});
    rig.cache->store_whole(std::move(parts), content, &fetch);
    if (i % 5000 == 0) {
      state.PauseTiming();
      rig.store->flush();
      state.ResumeTiming();
    }
  }
  rig.store->flush();
  state.counters["process_us_each"] = (process_cpu() - before) * 1e6 / static_cast<double>(i);
  state.counters["stored"] = static_cast<double>(rig.store->stats().objects);
}
BENCHMARK(miss_whole)->Arg(1024)->Arg(16000)->Arg(64000)->Iterations(50'000);

void lookup_hot(benchmark::State& state) {
  Rig rig(uint64_t{1} << 30);
  const core::Slice content = core::Slice::copy(std::string(1024, 'x'));
  std::string keys[1000];
  for (int i = 0; i < 1000; ++i) {
    keys[i] = parts_for(i).key;
    rig.cache->store_whole(parts_for(i), content, nullptr);
  }
  size_t i = 0;
  for (auto _ : state) {
    cache::EntryRef entry;
    cache::PendingLookup pending;
    benchmark::DoNotOptimize(rig.cache->lookup(keys[i++ % 1000], entry, pending, {}));
    benchmark::DoNotOptimize(entry->variants.front()->memory_body());
  }
}
BENCHMARK(lookup_hot);

void read_large(benchmark::State& state) {
  Rig rig(uint64_t{4} << 30);
  constexpr uint64_t kSize = 64 << 20;
  auto fill = rig.cache->start_fill(parts_for(0), kSize, nullptr);
  const core::Slice block = core::Slice::copy(std::string(256 * 1024, 'x'));
  for (uint64_t at = 0; at < kSize;) {
    if (!fill->has_room()) {
      rig.loop.run_once(std::chrono::milliseconds(1));
      continue;
    }
    fill->write(at, block);
    at += block.size();
  }
  fill->finish(kSize);
  const cache::ObjectRef object = fill->object();
  while (!object->body().is_whole()) rig.loop.run_once(std::chrono::milliseconds(1));
  for (auto _ : state) {
    auto reader = rig.cache->read(object);
    http::BodyPart part;
    while (reader->read(part, UINT64_MAX) == http::BodyRead::Part) benchmark::DoNotOptimize(part);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kSize));
}
BENCHMARK(read_large);

void fill_large(benchmark::State& state) {
  Rig rig(uint64_t{4} << 30);
  constexpr uint64_t kSize = 256 << 20;
  const core::Slice block = core::Slice::copy(std::string(static_cast<size_t>(state.range(0)), 'x'));
  const double before = process_cpu();
  int64_t i = 0;
  for (auto _ : state) {
    auto fill = rig.cache->start_fill(parts_for(i++ % 4), kSize, nullptr);
    for (uint64_t at = 0; at < kSize;) {
      if (!fill->has_room()) {
        rig.loop.run_once(std::chrono::milliseconds(1));
        continue;
      }
      fill->write(at, block);
      at += block.size();
    }
    fill->finish(kSize);
    const cache::ObjectRef object = fill->object();
    while (object->body().is_filling()) rig.loop.run_once(std::chrono::milliseconds(1));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kSize));
  state.counters["cpu_s_per_GB"] = (process_cpu() - before) / (static_cast<double>(i) * kSize / 1e9);
}
BENCHMARK(fill_large)->Arg(16 * 1024)->Arg(256 * 1024)->UseRealTime();

}  // namespace

// Request traces for the eviction simulator: what clients of a download cache ask for, one after the other, the same at every
// run. Each is a list of object numbers and the size of each object; a release that replaces another is a new object, and
// the old one is never asked for again.
//
// The generator is ours (splitmix64), because the distributions of <random> differ between libraries.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace tributary::eviction {

struct Trace {
  std::string name;
  std::vector<uint32_t> requests;  // indices into sizes
  std::vector<uint64_t> sizes;     // bytes

  uint64_t unique_bytes() const {
    uint64_t bytes = 0;
    for (const uint64_t size : sizes) bytes += size;
    return bytes;
  }
};

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(unit() * n); }
  bool chance(double p) { return unit() < p; }
  // Sizes of files on the net are close to log-normal: `median` bytes, `sigma` of the logarithm, cut at `most`.
  uint64_t size(double median, double sigma, double most) {
    const double normal = std::sqrt(-2 * std::log(1 - unit())) * std::cos(6.283185307179586 * unit());
    return static_cast<uint64_t>(std::clamp(median * std::exp(sigma * normal), 200.0, most));
  }

 private:
  uint64_t state_;
};

// Rank r of n is asked for with a probability in proportion to 1 / (r + 1)^alpha.
class Zipf {
 public:
  Zipf(uint32_t n, double alpha) : sums_(n) {
    double sum = 0;
    for (uint32_t rank = 0; rank < n; ++rank) sums_[rank] = sum += std::pow(rank + 1.0, -alpha);
  }
  uint32_t rank(Random& random) const {
    const double at = random.unit() * sums_.back();
    return static_cast<uint32_t>(std::upper_bound(sums_.begin(), sums_.end() - 1, at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

// Builds a trace object by object.
class TraceBuilder {
 public:
  TraceBuilder(std::string name, uint32_t requests, uint64_t seed) : length_(requests), random(seed) {
    trace_.name = std::move(name);
    trace_.requests.reserve(requests);
  }
  uint32_t object(uint64_t size) {
    trace_.sizes.push_back(size);
    return static_cast<uint32_t>(trace_.sizes.size() - 1);
  }
  // A page, an index, an archive: mostly some tens of kilobytes, some of tens of megabytes.
  uint32_t object() { return object(random.size(24e3, 1.6, 64e6)); }
  std::vector<uint32_t> objects(uint32_t n) {
    std::vector<uint32_t> made(n);
    for (uint32_t& each : made) each = object();
    return made;
  }
  void ask(uint32_t object) { trace_.requests.push_back(object); }
  bool done() const { return trace_.requests.size() >= length_; }
  uint32_t asked() const { return static_cast<uint32_t>(trace_.requests.size()); }
  Trace take() {
    trace_.requests.resize(length_);
    return std::move(trace_);
  }

 private:
  Trace trace_;
  const uint32_t length_;

 public:
  Random random;
};

inline Trace zipf_trace(double alpha, uint32_t n) {
  TraceBuilder build("zipf " + std::to_string(alpha).substr(0, 3), n, 1);
  const std::vector<uint32_t> objects = build.objects(n / 10);
  const Zipf zipf(n / 10, alpha);
  while (!build.done()) build.ask(objects[zipf.rank(build.random)]);
  return build.take();
}

// All of one size, so that nothing but the order of requests counts.
inline Trace zipf_equal_trace(uint32_t n) {
  TraceBuilder build("zipf 0.9, equal sizes", n, 2);
  const Zipf zipf(n / 10, 0.9);
  for (uint32_t i = 0; i < n / 10; ++i) build.object(64 << 10);
  while (!build.done()) build.ask(zipf.rank(build.random));
  return build.take();
}

// Three crowds with tastes of their own, one after the other in the same stream.
inline Trace zipf_mix_trace(uint32_t n) {
  TraceBuilder build("zipf mix", n, 3);
  const std::vector<uint32_t> objects[] = {build.objects(n / 100), build.objects(n / 20), build.objects(n / 10)};
  const Zipf zipf[] = {Zipf(n / 100, 1.2), Zipf(n / 20, 0.9), Zipf(n / 10, 0.6)};
  while (!build.done()) {
    const uint32_t crowd = build.random.below(3);
    build.ask(objects[crowd][zipf[crowd].rank(build.random)]);
  }
  return build.take();
}

// Every now and then a mirror run reads everything there is, once.
inline Trace scan_trace(uint32_t n) {
  TraceBuilder build("zipf with scans", n, 4);
  const std::vector<uint32_t> objects = build.objects(n / 20);
  const Zipf zipf(n / 20, 0.9);
  while (!build.done()) {
    if (build.random.chance(5e-5)) {
      for (uint32_t i = 0; i < n / 50 && !build.done(); ++i) build.ask(build.object());
    }
    if (!build.done()) build.ask(objects[zipf.rank(build.random)]);
  }
  return build.take();
}

// The same list from the first to the last, again and again: a build that starts anew.
inline Trace loop_trace(uint32_t n) {
  TraceBuilder build("loop", n, 5);
  const std::vector<uint32_t> objects = build.objects(n / 20);
  while (!build.done()) {
    for (const uint32_t object : objects) {
      if (!build.done()) build.ask(object);
    }
  }
  return build.take();
}

// Such a build beside people.
inline Trace loop_mix_trace(uint32_t n) {
  TraceBuilder build("loop beside zipf", n, 6);
  const std::vector<uint32_t> loop = build.objects(n / 30);
  const std::vector<uint32_t> objects = build.objects(n / 20);
  const Zipf zipf(n / 20, 0.9);
  for (uint32_t at = 0; !build.done();) {
    if (build.random.chance(0.5)) {
      build.ask(loop[at++ % loop.size()]);
    } else {
      build.ask(objects[zipf.rank(build.random)]);
    }
  }
  return build.take();
}

inline Trace one_hit_trace(uint32_t n) {
  TraceBuilder build("one-hit wonders", n, 7);
  const std::vector<uint32_t> objects = build.objects(n / 20);
  const Zipf zipf(n / 20, 0.9);
  while (!build.done()) build.ask(build.random.chance(0.6) ? build.object() : objects[zipf.rank(build.random)]);
  return build.take();
}

// Every tenth of the time other objects are the popular ones.
inline Trace shift_trace(uint32_t n) {
  TraceBuilder build("shifting popularity", n, 8);
  const std::vector<uint32_t> objects = build.objects(n / 10);
  const Zipf zipf(n / 10, 0.9);
  while (!build.done()) {
    const uint32_t shift = build.asked() / (n / 10) * 7919;
    build.ask(objects[(zipf.rank(build.random) + shift) % objects.size()]);
  }
  return build.take();
}

// Popularity moves on a little with every request.
inline Trace drift_trace(uint32_t n) {
  TraceBuilder build("drifting popularity", n, 9);
  const std::vector<uint32_t> objects = build.objects(n / 10);
  const Zipf zipf(n / 10, 0.9);
  while (!build.done()) {
    const uint32_t shift = build.asked() / 100;
    build.ask(objects[(zipf.rank(build.random) * 31 + shift * 31) % objects.size()]);
  }
  return build.take();
}

// What is new is asked for, and less every day: the age of the object asked for is exponential. The kindest trace to LRU here.
inline Trace news_trace(uint32_t n) {
  TraceBuilder build("news", n, 10);
  std::vector<uint32_t> made = build.objects(n / 50);
  while (!build.done()) {
    if (build.random.chance(0.15)) made.push_back(build.object());
    const double age = -std::log(1 - build.random.unit()) * (n / 100.0);
    build.ask(made[made.size() - 1 - std::min<size_t>(static_cast<size_t>(age), made.size() - 1)]);
  }
  return build.take();
}

// A Debian mirror's clients. Every run of a machine reads the indices and then a set of packages, most of which its
// neighbours of the same kind read too; packages are replaced by new releases, and the indices with them.
inline Trace apt_trace(uint32_t n) {
  TraceBuilder build("apt: indices and debs", n, 11);
  constexpr uint32_t kSuites = 6, kKinds = 60;
  std::vector<uint32_t> release(kSuites), packages(kSuites), debs(n / 25);
  for (uint32_t s = 0; s < kSuites; ++s) {
    release[s] = build.object(150e3);
    packages[s] = build.object(build.random.size(3e6, 1, 12e6));
  }
  const auto deb = [&] { return build.object(build.random.size(60e3, 1.9, 300e6)); };
  for (uint32_t& each : debs) each = deb();
  const Zipf popularity(static_cast<uint32_t>(debs.size()), 0.8);
  std::vector<std::vector<uint32_t>> kinds(kKinds);
  for (auto& kind : kinds) {
    for (uint32_t i = 0; i < 80; ++i) kind.push_back(popularity.rank(build.random));
  }
  const Zipf kind_zipf(kKinds, 0.8);
  while (!build.done()) {
    if (build.random.chance(0.01)) {  // a release: some packages and one suite's indices are new
      for (int i = 0; i < 30; ++i) debs[popularity.rank(build.random)] = deb();
      const uint32_t suite = build.random.below(kSuites);
      release[suite] = build.object(150e3);
      packages[suite] = build.object(build.random.size(3e6, 1, 12e6));
    }
    const uint32_t suite = build.random.below(kSuites);
    build.ask(release[suite]);
    build.ask(packages[suite]);
    for (const uint32_t package : kinds[kind_zipf.rank(build.random)]) build.ask(debs[package]);
    for (int i = 0; i < 10; ++i) build.ask(debs[popularity.rank(build.random)]);  // and something of one's own
  }
  return build.take();
}

// pip and npm: a small index page for each package, then its newest release: a few kilobytes, or hundreds of megabytes for the
// wheels of the large frameworks.
inline Trace wheels_trace(uint32_t n) {
  TraceBuilder build("pip: pages and wheels", n, 12);
  const uint32_t count = n / 25;
  std::vector<uint32_t> page(count), wheel(count);
  for (uint32_t p = 0; p < count; ++p) {
    page[p] = build.object(build.random.size(15e3, 1, 2e6));
    wheel[p] = build.object(build.random.size(90e3, 2.3, 900e6));
  }
  const Zipf zipf(count, 0.9);
  while (!build.done()) {
    const uint32_t package = zipf.rank(build.random);
    if (build.random.chance(0.003)) {
      page[package] = build.object(build.random.size(15e3, 1, 2e6));
      wheel[package] = build.object(build.random.size(90e3, 2.3, 900e6));
    }
    build.ask(page[package]);
    if (build.random.chance(0.7)) build.ask(wheel[package]);
  }
  return build.take();
}

// Container images: a manifest of a few kilobytes and layers of which the lower are shared, the upper change with every build.
inline Trace images_trace(uint32_t n) {
  TraceBuilder build("oci: manifests and layers", n, 13);
  constexpr uint32_t kBases = 40;
  const uint32_t count = std::max(200u, n / 200);
  std::vector<std::vector<uint32_t>> bases(kBases);
  for (auto& base : bases) {
    for (int i = 0; i < 4; ++i) base.push_back(build.object(build.random.size(20e6, 1.2, 1e9)));
  }
  struct Image {
    uint32_t manifest, config;
    uint32_t base;
    std::vector<uint32_t> layers;
  };
  const auto rebuild = [&](Image& image) {
    image.manifest = build.object(build.random.size(2e3, 0.3, 10e3));
    image.config = build.object(build.random.size(6e3, 0.5, 40e3));
    image.layers.resize(5);
    // A build changes what lies above the first changed layer.
    for (uint32_t i = image.layers[0] ? build.random.below(5) : 0; i < 5; ++i) {
      image.layers[i] = build.object(build.random.size(400e3, 2.2, 1e9));
    }
  };
  const Zipf base_zipf(kBases, 1.0);
  std::vector<Image> images(count);
  for (Image& image : images) {
    image.base = base_zipf.rank(build.random);
    rebuild(image);
  }
  const Zipf zipf(count, 0.9);
  while (!build.done()) {
    Image& image = images[zipf.rank(build.random)];
    if (build.random.chance(0.05)) rebuild(image);
    build.ask(image.manifest);
    build.ask(image.config);
    for (const uint32_t layer : bases[image.base]) {
      if (build.random.chance(0.5)) build.ask(layer);  // the machine has the others already
    }
    for (const uint32_t layer : image.layers) {
      if (build.random.chance(0.7)) build.ask(layer);
    }
  }
  return build.take();
}

// All of them, `n` requests each. At 500,000 and more the proportions are as described; less is for tests.
inline std::vector<std::function<Trace()>> all_traces(uint32_t n) {
  return {
      [n] { return zipf_trace(0.6, n); },  [n] { return zipf_trace(0.8, n); }, [n] { return zipf_trace(1.0, n); },
      [n] { return zipf_trace(1.2, n); },  [n] { return zipf_equal_trace(n); }, [n] { return zipf_mix_trace(n); },
      [n] { return scan_trace(n); },       [n] { return loop_trace(n); },      [n] { return loop_mix_trace(n); },
      [n] { return one_hit_trace(n); },    [n] { return shift_trace(n); },     [n] { return drift_trace(n); },
      [n] { return news_trace(n); },       [n] { return apt_trace(n); },       [n] { return wheels_trace(n); },
      [n] { return images_trace(n); },
  };
}

}  // namespace tributary::eviction

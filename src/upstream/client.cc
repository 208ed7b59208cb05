#include "upstream/client.h"

#include <cassert>
#include <utility>

#include "upstream/client_core.h"
#include "upstream/h1_exchange.h"

namespace tributary::upstream {

core::Slice ClientCore::keep_read(size_t offset, size_t size) {
  if (size < kWorthGiving) return core::Slice::copy({spare_block.data() + offset, size});
  return std::exchange(spare_block, {}).freeze(offset + size).sub(offset);
}

Client::Client(core::Loop& loop, net::Resolver& resolver, const net::TlsClientContext* tls, Shared& shared,
               const UpstreamSettings& settings, core::Registry& metrics)
    : core_(std::make_unique<ClientCore>(loop, resolver, tls, shared, settings, metrics)) {}

Client::~Client() { assert(core_->exchanges == 0); }

std::unique_ptr<Exchange> Client::start(const ExchangeRequest& request, ExchangeHandler& handler) {
  auto exchange = std::make_unique<H1Exchange>(*core_, request, handler);
  exchange->begin();
  return exchange;
}

void Client::close_idle() { core_->pool.close(); }

std::shared_ptr<OriginMemory> Client::memory(const Origin& origin) {
  auto& memories = core_->memories;
  auto& index = core_->memory_index;
  const auto found = index.find(origin);
  if (found != index.end()) {
    memories.splice(memories.begin(), memories, found->second);
    return found->second->memory;
  }
  if (memories.size() >= kMemories) {
    index.erase(memories.back().origin);
    memories.pop_back();
  }
  memories.push_front({origin, std::make_shared<OriginMemory>()});
  index.emplace(origin, memories.begin());
  memories.front().memory->useful = core_->shared.origins.useful(origin);
  return memories.front().memory;
}

Client::Snapshot Client::snapshot() const {
  Snapshot snapshot;
  for (const auto& [origin, host] : core_->pool.hosts()) {
    snapshot.hosts.push_back({origin.to_string(), host.idle.size(), host.users});
  }
  return snapshot;
}

size_t Client::idle() const { return core_->pool.idle(); }
size_t Client::active() const { return core_->exchanges; }
core::Loop& Client::loop() const { return core_->loop; }
Shared& Client::shared() const { return core_->shared; }
UpstreamMetrics& Client::metrics() const { return core_->metrics; }

}  // namespace tributary::upstream

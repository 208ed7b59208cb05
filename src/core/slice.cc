#include "core/slice.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace tributary::core {

Block* Block::allocate(uint32_t capacity) {
  void* memory = std::malloc(sizeof(Block) + capacity);
  if (!memory) std::abort();  // out of memory is not survivable here; limits keep us away from it
  Block* block = new (memory) Block;
  block->capacity = capacity;
  return block;
}

void Block::unref() {
  // One owner left means nobody else can add a reference: skip the read-modify-write.
  if (refs.load(std::memory_order_acquire) != 1 &&
      refs.fetch_sub(1, std::memory_order_acq_rel) != 1) {
    return;
  }
  if (pool) {
    pool->give_back(this);
  } else {
    this->~Block();
    std::free(this);
  }
}

Slice Slice::copy(std::string_view bytes) {
  if (bytes.empty()) return {};
  BlockRef block(Block::allocate(static_cast<uint32_t>(bytes.size())));
  std::memcpy(block.data(), bytes.data(), bytes.size());
  return std::move(block).freeze(bytes.size());
}

BlockPool::BlockPool(uint32_t block_size, size_t keep)
    : block_size_(block_size), keep_(keep), free_(std::make_unique<Block*[]>(keep)) {}

BlockPool::~BlockPool() {
  while (kept_ > 0) {
    Block* block = free_[--kept_];
    block->~Block();
    std::free(block);
  }
}

BlockRef BlockPool::take() {
  in_use_.fetch_add(1, std::memory_order_relaxed);
  Block* block = nullptr;
  while (busy_.test_and_set(std::memory_order_acquire)) {
  }
  if (kept_ > 0) block = free_[--kept_];
  busy_.clear(std::memory_order_release);
  if (!block) {
    block = Block::allocate(block_size_);
    block->pool = this;
  }
  block->refs.store(1, std::memory_order_relaxed);
  return BlockRef(block);
}

void BlockPool::give_back(Block* block) {
  in_use_.fetch_sub(1, std::memory_order_relaxed);
  while (busy_.test_and_set(std::memory_order_acquire)) {
  }
  const bool keep = kept_ < keep_;
  if (keep) free_[kept_++] = block;
  busy_.clear(std::memory_order_release);
  if (!keep) {
    block->~Block();
    std::free(block);
  }
}

}  // namespace tributary::core

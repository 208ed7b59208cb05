// Slice: a reference-counted view of bytes that nobody writes any more.
//
// Copying a Slice costs one atomic increment and no bytes; `sub` splits without copying. The bytes live in a Block; a
// block that came from a BlockPool goes back to it when the last slice is gone, on whichever thread that happens.
//
//   core::BlockRef block = pool.take();             // one owner, writable
//   ssize_t n = ::read(fd, block.data(), block.capacity());
//   core::Slice bytes = std::move(block).freeze(n); // shared, read-only
//
// Any thread. A pooled block is not cleared when it is taken: only [0, n) that was written may be frozen, which is why
// freeze takes the length and a BlockRef shows no old content by itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace tributary::core {

class BlockPool;

// Header in front of the bytes. Allocated as one piece with them.
struct Block {
  std::atomic<uint32_t> refs{1};
  uint32_t capacity = 0;
  BlockPool* pool = nullptr;  // null: plain heap

  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  static Block* allocate(uint32_t capacity);
  void unref();
};

class Slice {
 public:
  Slice() = default;
  Slice(const Slice& other) : block_(other.block_), data_(other.data_), size_(other.size_) {
    if (block_) block_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  Slice(Slice&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Slice& operator=(Slice other) noexcept {
    std::swap(block_, other.block_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Slice() {
    if (block_) block_->unref();
  }

  static Slice copy(std::string_view bytes);
  // A view of bytes that live for ever (string literals).
  static Slice unowned(std::string_view bytes) { return Slice(nullptr, bytes.data(), bytes.size()); }

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }
  std::span<const char> span() const { return {data_, size_}; }

  // The part [offset, offset + length), cut to what there is; shares the block.
  Slice sub(size_t offset, size_t length = SIZE_MAX) const {
    if (offset > size_) offset = size_;
    if (length > size_ - offset) length = size_ - offset;
    if (block_) block_->refs.fetch_add(1, std::memory_order_relaxed);
    return Slice(block_, data_ + offset, length);
  }
  void remove_prefix(size_t n) {
    data_ += n;
    size_ -= n;
  }

 private:
  friend class BlockRef;
  Slice(Block* block, const char* data, size_t size) : block_(block), data_(data), size_(size) {}

  Block* block_ = nullptr;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

// Sole owner of a writable block.
class BlockRef {
 public:
  BlockRef() = default;
  explicit BlockRef(Block* block) : block_(block) {}
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() {
    if (block_) block_->unref();
  }
  explicit operator bool() const { return block_ != nullptr; }
  char* data() { return block_->bytes(); }
  size_t capacity() const { return block_->capacity; }
  std::span<char> writable() { return {block_->bytes(), block_->capacity}; }
  // Gives up ownership: the first `size` bytes become a shared, read-only slice.
  Slice freeze(size_t size) && {
    Block* block = std::exchange(block_, nullptr);
    return Slice(block, block->bytes(), size);
  }

 private:
  Block* block_ = nullptr;
};

// Blocks of one size, kept for reuse up to `keep` of them; more are given back to the heap. Any thread; take and give
// back spin for a few instructions on a flag, never wait in the kernel. Must outlive every block taken from it.
class BlockPool {
 public:
  BlockPool(uint32_t block_size, size_t keep);
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  BlockRef take();
  uint32_t block_size() const { return block_size_; }
  size_t in_use() const { return in_use_.load(std::memory_order_relaxed); }

 private:
  friend struct Block;
  void give_back(Block* block);

  const uint32_t block_size_;
  const size_t keep_;
  std::atomic<size_t> in_use_{0};
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  size_t kept_ = 0;
  std::unique_ptr<Block*[]> free_;
};

}  // namespace tributary::core

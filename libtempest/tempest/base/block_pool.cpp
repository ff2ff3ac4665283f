#include "tempest/base/block_pool.hpp"

#include <new>

namespace tempest {

namespace {
constexpr std::align_val_t kChunkAlignment{BlockPool::kChunkBytes};
}  // namespace

void BlockPool::ChunkList::add(Chunk* chunk) {
  chunk->previous = last;
  chunk->next = nullptr;
  (last == nullptr ? first : last->next) = chunk;
  last = chunk;
}

void BlockPool::ChunkList::remove(Chunk* chunk) {
  (chunk->previous == nullptr ? first : chunk->previous->next) = chunk->next;
  (chunk->next == nullptr ? last : chunk->next->previous) = chunk->previous;
}

BlockPool::~BlockPool() {
  for (ChunkList& list : with_room_) leave(list);
  leave(full_);
  leave(empty_);
}

/// What is still taken in them is given back later, and the chunk goes with the last.
void BlockPool::leave(ChunkList& list) {
  for (Chunk* chunk = list.first; chunk != nullptr;) {
    Chunk* next = chunk->next;
    chunk->pool = nullptr;
    if (chunk->taken == 0) release_chunk(chunk);
    chunk = next;
  }
}

BlockPool::Chunk* BlockPool::add_chunk(std::size_t kind, std::size_t bytes) {
  Chunk* chunk = empty_.first;
  if (chunk != nullptr) {
    empty_.remove(chunk);
    --empty_count_;
  } else {
    chunk = new (::operator new(kChunkBytes, kChunkAlignment)) Chunk;
    ++chunk_count_;
  }
  *chunk = Chunk{};
  chunk->pool = this;
  chunk->kind = static_cast<std::uint32_t>(kind);
  chunk->block_bytes = static_cast<std::uint32_t>(BlockSizes::rounded(bytes));
  chunk->untouched = sizeof(Chunk);
  with_room_[kind].add(chunk);
  return chunk;
}

void BlockPool::became_full(Chunk* chunk) {
  with_room_[chunk->kind].remove(chunk);
  full_.add(chunk);
}

void BlockPool::gained_room(Chunk* chunk, bool was_full) {
  BlockPool* pool = chunk->pool;
  if (pool == nullptr) {
    if (chunk->taken == 0) release_chunk(chunk);
    return;
  }
  ChunkList& with_room = pool->with_room_[chunk->kind];
  if (was_full) {
    pool->full_.remove(chunk);
    // Behind the others: until its turn comes, more is given back to it.
    with_room.add(chunk);
  }
  // The one that is taken from stays, lest it come and go with every block.
  if (chunk->taken > 0 || chunk == with_room.first) return;
  with_room.remove(chunk);
  if (pool->kept_bytes() + kChunkBytes > kKeptBytes) {
    --pool->chunk_count_;
    release_chunk(chunk);
    return;
  }
  pool->empty_.add(chunk);
  ++pool->empty_count_;
}

void BlockPool::release_chunk(Chunk* chunk) {
  ::operator delete(static_cast<void*>(chunk), kChunkAlignment);
}

void* BlockPool::take_large(std::size_t bytes) {
  return ::operator new(bytes);
}

void BlockPool::give_back_large(void* memory) {
  ::operator delete(memory);
}

}  // namespace tempest

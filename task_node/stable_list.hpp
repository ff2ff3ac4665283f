#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace tempest::task_node {

/// A list that one thread adds to while another reads what stood in it before. Growing copies the
/// elements and keeps the old ones where they were until clear(), so that a reader may hold on to
/// what it has found.
///
/// The writer tells the reader how many elements are complete by other means (Execution::claim());
/// those must not change any more.
template <typename T>
class StableList {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // By the writer, or by anyone while nobody writes.
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& back() { return (*this)[size_ - 1]; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }

  void push_back(const T& element) { emplace_back() = element; }
  T& emplace_back() {
    if (size_ == capacity_) grow(size_ + 1);
    T& element = data()[size_++];
    element = T{};
    return element;
  }
  template <typename Iterator>
  void append(Iterator first, Iterator last) {
    const auto count = static_cast<std::size_t>(last - first);
    if (size_ + count > capacity_) grow(size_ + count);
    std::copy(first, last, data() + size_);
    size_ += count;
  }
  /// Forgets all but the first `size` elements; there must be as many.
  void cut(std::size_t size) { size_ = size; }
  /// Empties it, and keeps its newest storage for what comes.
  void clear() {
    size_ = 0;
    if (storage_.size() > 1) storage_.erase(storage_.begin(), storage_.end() - 1);
  }

  // By any thread, of elements that it knows to be complete.
  T& operator[](std::size_t index) { return data()[index]; }
  const T& operator[](std::size_t index) const { return data()[index]; }

 private:
  T* data() const { return data_.load(std::memory_order_acquire); }
  void grow(std::size_t least) {
    const std::size_t capacity = std::max<std::size_t>({least, capacity_ * 2, 16});
    auto storage = std::make_unique<T[]>(capacity);
    std::copy(begin(), end(), storage.get());
    data_.store(storage.get(), std::memory_order_release);
    storage_.push_back(std::move(storage));
    capacity_ = capacity;
  }

  std::atomic<T*> data_{nullptr};
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::vector<std::unique_ptr<T[]>> storage_;  ///< The newest last.
};

}  // namespace tempest::task_node

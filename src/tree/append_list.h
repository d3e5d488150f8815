// A list that one thread appends to while any number of others read it without locks. Elements
// never move: they stand in chunks, each twice as long as the one before.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

namespace marble {

template <typename T>
class AppendList {
 public:
  AppendList() = default;
  ~AppendList() {
    // raw new because: readers load a chunk while the writer adds the next.
    for (auto& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
  }
  AppendList(const AppendList&) = delete;
  AppendList& operator=(const AppendList&) = delete;

  /// Elements below the returned number are complete and do not change.
  int64_t size() const { return size_.load(std::memory_order_acquire); }

  const T& operator[](int64_t i) const {
    const int chunk = ChunkOf(i);
    return chunks_[chunk].load(std::memory_order_acquire)[i - FirstOf(chunk)];
  }

  /// Writer only.
  void Append(T value) {
    const int64_t i = size_.load(std::memory_order_relaxed);
    const int chunk = ChunkOf(i);
    if (i == FirstOf(chunk)) {
      // raw new because: the atomic slot owns it; the destructor deletes it.
      chunks_[chunk].store(new T[static_cast<size_t>(kFirstChunk << chunk)],
                           std::memory_order_release);
    }
    chunks_[chunk].load(std::memory_order_relaxed)[i - FirstOf(chunk)] = std::move(value);
    size_.store(i + 1, std::memory_order_release);
  }

 private:
  static constexpr int64_t kFirstChunk = 4;
  static int ChunkOf(int64_t i) {
    return std::bit_width(static_cast<uint64_t>(i / kFirstChunk + 1)) - 1;
  }
  static int64_t FirstOf(int chunk) { return kFirstChunk * ((int64_t{1} << chunk) - 1); }

  std::array<std::atomic<T*>, 40> chunks_{};
  std::atomic<int64_t> size_{0};
};

}  // namespace marble

// The current view of a table, loaded by any number of threads without a counter that they share.
//
// Every shard keeps a reference of its own with a reference count of its own, so threads on
// different shards touch no common cache line. A shard's lock is held for the copy of a pointer and
// nothing else. (std::atomic<std::shared_ptr> has one count for all, and in libstdc++ 12 its load
// releases the lock bit with relaxed order, which is a data race with the next store.)
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>

#include "tree/table_view.h"

namespace marble {

class ViewHolder {
 public:
  ViewHolder() = default;
  ViewHolder(const ViewHolder&) = delete;
  ViewHolder& operator=(const ViewHolder&) = delete;

  /// nullptr once there is none. Any thread.
  std::shared_ptr<const TableView> Load() const {
    const Shard& shard = shards_[ShardOfThread()];
    shard.Lock();
    std::shared_ptr<const TableView> view = shard.view;
    shard.Unlock();
    return view;
  }

  /// Is `view` still the current one? Any thread.
  bool IsCurrent(const TableView* view) const {
    return current_.load(std::memory_order_acquire) == view;
  }

  /// The view itself, for the thread that stores: its use count tells whether a reader holds it,
  /// on whatever shard.
  const std::shared_ptr<const TableView>& stored() const { return stored_; }

  /// Replaces the view. One thread at a time. On return every Load gives the new one.
  void Store(const std::shared_ptr<const TableView>& view) {
    for (Shard& shard : shards_) {
      std::shared_ptr<const TableView> own;
      if (view != nullptr) {
        auto keeper = std::make_shared<const std::shared_ptr<const TableView>>(view);
        own = std::shared_ptr<const TableView>(std::move(keeper), view.get());
      }
      shard.Lock();
      shard.view.swap(own);
      shard.Unlock();
    }
    current_.store(view.get(), std::memory_order_release);
    stored_ = view;
  }

 private:
  static constexpr size_t kShards = 8;

  struct alignas(64) Shard {
    mutable std::atomic<bool> locked{false};
    std::shared_ptr<const TableView> view;

    void Lock() const {
      // Whoever holds it is done in some nanoseconds, or was interrupted and needs the processor.
      for (int tries = 0; locked.exchange(true, std::memory_order_acquire); ++tries) {
        if (tries > 100) std::this_thread::yield();
      }
    }
    void Unlock() const { locked.store(false, std::memory_order_release); }
  };

  static size_t ShardOfThread() {
    static std::atomic<size_t> next{0};
    thread_local const size_t shard = next.fetch_add(1, std::memory_order_relaxed) % kShards;
    return shard;
  }

  std::array<Shard, kShards> shards_;
  std::atomic<const TableView*> current_{nullptr};
  std::shared_ptr<const TableView> stored_;
};

}  // namespace marble

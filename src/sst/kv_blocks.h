// Compact views of the blocks of a mapped, uncompressed key-value file: one cache line a block with
// the addresses of its columns, made when the block is first looked into, so that a point read
// touches no Arrow objects. Owned by the file's reader; thread-safe without locks: threads that
// meet a new block both fill its line, with the same values.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <arrow/result.h>

#include "base/coding.h"
#include "base/prefetch.h"
#include "row/row_batch.h"
#include "row/row_kind.h"
#include "sst/kv_columns.h"
#include "sst/sst_file.h"

namespace marble {

class KvBlocks {
 public:
  /// `file` must be zero-copy and of a key-value table, and outlive this.
  explicit KvBlocks(const SstFile* file);

  int64_t bytes() const {
    return static_cast<int64_t>(sizeof(Slot)) * file_->blocks().num_blocks();
  }

  /// Checks the block's pages and fills its line if that was not done before. False if the block
  /// does not fit a line (which the writer's blocks do); then it must be read in the general way.
  arrow::Result<bool> Ensure(int64_t block) {
    const State state = slots_[block].state.load(std::memory_order_acquire);
    if (state == State::kReady) [[likely]] {
      return true;
    }
    if (state == State::kGeneral) return false;
    return Fill(block);
  }

  // The following need Ensure(block) to have given true (the prefetches: IsReady) and a row of the
  // block.

  bool IsReady(int64_t block) const {
    return slots_[block].state.load(std::memory_order_acquire) == State::kReady;
  }
  KvColumns Columns(int64_t block) const;
  /// The same rows as a batch of the columns asked for, zero-copy, without decoding the block
  /// again.
  RowBatch Rows(int64_t block, const std::vector<int>& columns, bool want_keys) const;
  void PrefetchSlot(int64_t block) const { PrefetchLine(&slots_[block]); }
  /// What leads to the row's key and value: themselves, if all of the column are of one width.
  void PrefetchRow(int64_t block, int64_t row) const;
  /// Key and value, where PrefetchRow has not.
  void PrefetchValue(int64_t block, int64_t row) const;
  /// False if the row's offsets leave the column: damage.
  bool Key(int64_t block, int64_t row, std::string_view* key) const {
    const Slot& slot = slots_[block];
    return StringsOf(slot.keys, large_keys_).At(row, key);
  }
  /// A null value is a view with a null pointer, an empty one has none.
  bool Value(int64_t block, int64_t row, std::string_view* value) const;
  uint64_t Sequence(int64_t block, int64_t row) const {
    const uint32_t at = slots_[block].sequences.load(std::memory_order_relaxed);
    return at == 0 ? constant_sequence_
                   : LoadLittle<uint64_t>(base_ + int64_t{at} * kUnit + row * 8);
  }
  RowKind Kind(int64_t block, int64_t row) const {
    const uint32_t at = slots_[block].kinds.load(std::memory_order_relaxed);
    return at == 0 ? RowKind::kPut : static_cast<RowKind>(base_[int64_t{at} * kUnit + row]);
  }

 private:
  enum class State : uint32_t { kUnknown = 0, kReady, kGeneral };
  // Buffers begin at multiples of this in the file, so 32 bits reach 256 GiB.
  static constexpr int64_t kUnit = 64;
  using Place = std::atomic<uint32_t>;

  /// Where a column's strings are in the file. If all of them have one width, not 0, the offsets
  /// need not be looked at: one dependent memory access less.
  struct Strings {
    Place offsets{0};
    Place data{0};
    Place width{0};
    std::atomic<uint64_t> bytes{0};
  };

  /// Places of buffers in the file; 0 = there is none.
  struct alignas(64) Slot {
    std::atomic<State> state{State::kUnknown};
    Place value_validity{0};
    Place sequences{0};
    Place kinds{0};
    Strings keys;
    Strings values;
  };
  static_assert(sizeof(Slot) == 64);

  const uint8_t* At(const Place& place) const {
    return base_ + int64_t{place.load(std::memory_order_relaxed)} * kUnit;
  }
  void PrefetchStrings(const Strings& strings, bool large, int64_t row) const;
  KvStrings StringsOf(const Strings& strings, bool large) const {
    return {.offsets = At(strings.offsets),
            .data = reinterpret_cast<const char*>(At(strings.data)),
            .bytes = strings.bytes.load(std::memory_order_relaxed),
            .width = strings.width.load(std::memory_order_relaxed),
            .large = large};
  }
  std::shared_ptr<arrow::ArrayData> ArrayOf(const KvColumns& rows, int column) const;
  arrow::Result<bool> Fill(int64_t block);
  /// False if the buffer is not at a place that 32 bits can name.
  bool PlaceOf(const arrow::Buffer* buffer, Place* place) const;
  bool FillStrings(const arrow::ArrayData& column, bool large, Strings* strings) const;

  const SstFile* const file_;
  const uint8_t* const base_;
  const bool large_keys_;
  const bool large_values_;
  const uint64_t constant_sequence_;
  const std::unique_ptr<Slot[]> slots_;
};

}  // namespace marble

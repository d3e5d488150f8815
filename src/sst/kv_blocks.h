// Compact views of the blocks of a mapped, uncompressed key-value file: one cache line a block with
// the addresses of its columns, made when the block is first looked into, so that a point read
// touches no Arrow objects. Blocks that lie at equal distances and are laid out alike (keys and
// values of one width) share one line, which saves a point read a cache miss.
//
// Owned by the file's reader. Thread-safe; only the first look into a block takes a lock.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include <arrow/result.h>

#include "base/coding.h"
#include "base/prefetch.h"
#include "row/row_kind.h"
#include "sst/kv_columns.h"
#include "sst/sst_file.h"

namespace marble {

class KvBlocks {
 public:
  // Buffers begin at multiples of this in the file, so 32 bits reach 256 GiB.
  static constexpr int64_t kUnit = 64;

  /// Where a column's strings are in the file. If all of them have one width, not 0, the offsets
  /// need not be looked at: one dependent memory access less.
  struct Strings {
    uint32_t offsets;
    uint32_t data;
    uint32_t width;
    uint64_t bytes;
    bool operator==(const Strings&) const = default;
  };

  /// Places of buffers in the file, in units; 0 = there is none. Written before the block's state.
  struct alignas(64) Slot {
    Strings keys;
    Strings values;
    uint32_t value_validity;
    uint32_t sequences;
    uint32_t kinds;
    bool operator==(const Slot&) const = default;
  };
  static_assert(sizeof(Slot) == 64);

  /// A slot and the address that its places count from.
  struct Layout {
    const Slot* slot;
    const uint8_t* base;

    const uint8_t* Find(uint32_t place) const { return base + int64_t{place} * kUnit; }
  };

  /// `file` must be zero-copy and of a key-value table, and outlive this.
  explicit KvBlocks(const SstFile* file);

  int64_t bytes() const {
    return static_cast<int64_t>(sizeof(Slot) + sizeof(states_[0])) * file_->blocks().num_blocks();
  }

  /// Checks the block's pages and fills its line if that was not done before. False if the block
  /// does not fit a line (which the writer's blocks do); then it must be read in the general way.
  arrow::Result<bool> Ensure(int64_t block) {
    if (IsReady(block)) [[likely]] {
      return true;
    }
    if (StateOf(block) == State::kGeneral) return false;
    return Fill(block);
  }

  // What follows needs Ensure(block) to have given true, or IsReady, and rows of the block.

  bool IsReady(int64_t block) const {
    const State state = StateOf(block);
    return state == State::kAlike || state == State::kReady;
  }
  KvColumns Columns(int64_t block) const;
  void PrefetchSlot(int64_t block) const {
    PrefetchLine(&states_[block]);
    if (block >= alike_.blocks) PrefetchLine(&slots_[block]);
  }
  /// The block's, for the following.
  Layout LayoutOf(int64_t block) const {
    return StateOf(block) == State::kAlike ? Layout{&alike_.slot, base_ + block * alike_.distance}
                                           : Layout{&slots_[block], base_};
  }
  /// What leads to the row's key and value: themselves, if all of the column are of one width; true
  /// if not, and PrefetchValue has more to do.
  bool PrefetchRow(const Layout& at, int64_t row, bool with_sequence) const {
    PrefetchString(KeysOf(at), row);
    PrefetchString(ValuesOf(at), row);
    if (with_sequence && at.slot->sequences != 0) {
      PrefetchLine(at.Find(at.slot->sequences) + row * 8);
    }
    if (at.slot->kinds != 0) PrefetchLine(at.Find(at.slot->kinds) + row);
    return at.slot->keys.width == 0 || at.slot->values.width == 0;
  }
  /// Key and value, where PrefetchRow has not.
  void PrefetchValue(const Layout& at, int64_t row) const;
  /// False if the row's offsets leave the column: damage.
  bool Key(const Layout& at, int64_t row, std::string_view* key) const {
    return KeysOf(at).At(row, key);
  }
  /// A null value is a view with a null pointer, an empty one has none.
  bool Value(const Layout& at, int64_t row, std::string_view* value) const {
    if (at.slot->value_validity != 0) {
      const uint8_t* bits = at.Find(at.slot->value_validity);
      if (((bits[row >> 3] >> (row & 7)) & 1) == 0) {
        *value = {};
        return true;
      }
    }
    return ValuesOf(at).At(row, value);
  }
  uint64_t Sequence(const Layout& at, int64_t row) const {
    return at.slot->sequences == 0 ? constant_sequence_
                                   : LoadLittle<uint64_t>(at.Find(at.slot->sequences) + row * 8);
  }
  /// Where that is in the file; empty if it is nowhere.
  std::string_view SequenceBytes(const Layout& at, int64_t row) const {
    if (at.slot->sequences == 0) return {};
    return {reinterpret_cast<const char*>(at.Find(at.slot->sequences)) + row * 8, 8};
  }
  RowKind Kind(const Layout& at, int64_t row) const {
    return at.slot->kinds == 0 ? RowKind::kPut : static_cast<RowKind>(at.Find(at.slot->kinds)[row]);
  }

 private:
  // kAlike: as the common slot says, kReady: as its own says, kGeneral: neither can.
  enum class State : uint8_t { kUnknown = 0, kAlike, kReady, kGeneral };
  /// The first blocks of the file, as many as lie at equal distances.
  struct Alike {
    int64_t blocks = 0;
    int64_t distance = 0;  // bytes, a multiple of kUnit
    bool known = false;    // is the slot set? Guarded by fill_
    Slot slot;             // as if of block 0
  };

  State StateOf(int64_t block) const { return states_[block].load(std::memory_order_acquire); }
  KvStrings KeysOf(const Layout& at) const { return StringsOf(at, at.slot->keys, large_keys_); }
  KvStrings ValuesOf(const Layout& at) const {
    return StringsOf(at, at.slot->values, large_values_);
  }
  static KvStrings StringsOf(const Layout& at, const Strings& strings, bool large) {
    return {.offsets = at.Find(strings.offsets),
            .data = reinterpret_cast<const char*>(at.Find(strings.data)),
            .bytes = strings.bytes,
            .width = strings.width,
            .large = large};
  }
  /// Fetches a row's string, or what leads to it.
  static void PrefetchString(const KvStrings& strings, int64_t row) {
    strings.Prefetch(row);
    if (strings.width <= 1) return;
    const char* bytes = strings.data + row * strings.width;
    // The first two lines and what they lean into; then the processor's own prefetching takes over.
    PrefetchLine(bytes + std::min<uint32_t>(strings.width - 1, 64));
    if (strings.width > 65) PrefetchLine(bytes + std::min<uint32_t>(strings.width - 1, 127));
  }
  /// Counts blocks from the first on that lie at equal distances.
  void FindAlike();
  arrow::Result<bool> Fill(int64_t block);
  State Keep(int64_t block, const Slot& slot);
  /// The slot of one of the blocks of equal distance, with its places as if it were the first.
  Slot AsFirst(const Slot& slot, int64_t block) const;
  /// Of a buffer of the mapping; nullptr has place 0. False if 32 bits cannot name it.
  bool PlaceOf(const void* buffer, uint32_t* place) const;
  bool FillStrings(const KvStrings& column, int64_t rows, Strings* strings) const;

  const SstFile* const file_;
  const uint8_t* const base_;
  const bool large_keys_;
  const bool large_values_;
  const uint64_t constant_sequence_;
  const std::unique_ptr<std::atomic<State>[]> states_;
  const std::unique_ptr<Slot[]> slots_;  // only those of kReady blocks are set
  Alike alike_;
  std::mutex fill_;  // held to set slots and states
};

}  // namespace marble

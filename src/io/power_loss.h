// What a simulated power failure keeps of what was not synced. What was synced is never asked for:
// it survives every policy.
#pragma once

#include <array>
#include <cstdint>
#include <random>

namespace marble {

/// Each policy is something that a file system may do: it owes nobody the order in which unsynced
/// pages, sizes and directory entries reach the device. A rename is one change of entries, wholly
/// there or not at all.
enum class LossPolicy {
  kDropAll,        // nothing reached the device
  kKeepAll,        // all did
  kRandomPages,    // each page, size and entry by itself did or did not
  kTorn,           // as kRandomPages, but each 512-byte sector of a page by itself
  kZeroTail,       // files grew, and zeros are where they grew
  kGarbageTail,    // files grew, and what the blocks held before is where they grew
  kRandomEntries,  // each change of entries by itself, earlier ones of the same file or not
  kRenamesFirst,   // entries were made and renamed, and no data came with them
  kRemovesFirst,   // entries were removed, and none made or renamed before
};
inline constexpr std::array kLossPolicies = {
    LossPolicy::kDropAll,       LossPolicy::kKeepAll,      LossPolicy::kRandomPages,
    LossPolicy::kTorn,          LossPolicy::kZeroTail,     LossPolicy::kGarbageTail,
    LossPolicy::kRandomEntries, LossPolicy::kRenamesFirst, LossPolicy::kRemovesFirst};
const char* NameOf(LossPolicy policy);

/// The decisions of one power failure. The same policy and seed decide the same.
class PowerLoss {
 public:
  enum class EntryChange { kCreate, kRename, kRemove };
  enum class PageFate { kOld, kNew, kTorn, kGarbage };

  PowerLoss(LossPolicy policy, uint64_t seed);

  bool KeepsEntry(EntryChange change);
  /// Does a change of a file's entry need the earlier changes of the same file's?
  bool EntriesAreOrdered() const;
  bool KeepsSize();
  /// `grown`: the page reaches behind the synced size.
  PageFate FateOfPage(bool grown);
  uint64_t Random() { return random_(); }
  bool Coin() { return (random_() & 1) != 0; }

 private:
  const LossPolicy policy_;
  std::mt19937_64 random_;
  bool data_is_whole_ = false;  // for the policies about entries
};

}  // namespace marble

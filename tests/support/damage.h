// Ways in which files are damaged, and a copy of a database on the in-memory file system to damage.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <marble/file_system.h>

#include "io/memory_file_system.h"

namespace marble::test {

enum class DamageWay {
  kFlip,           // one byte in the middle
  kFlipFirst,      // the first byte
  kFlipLast,       // the last byte
  kTruncate,       // to half
  kEmpty,          // to nothing
  kZero,           // 512 bytes in the middle
  kDelete,         // gone
  kDuplicateTail,  // the last 64 bytes once more
  kSwap,           // 4 KiB in the middle replaced by those of another file of the kind
};
inline constexpr DamageWay kDamageWays[] = {
    DamageWay::kFlip,     DamageWay::kFlipFirst,     DamageWay::kFlipLast,
    DamageWay::kTruncate, DamageWay::kEmpty,         DamageWay::kZero,
    DamageWay::kDelete,   DamageWay::kDuplicateTail, DamageWay::kSwap};
const char* NameOf(DamageWay way);

using FileBytes = std::vector<std::pair<std::string, std::string>>;  // paths and contents

/// All files below `directory`, sorted by path.
FileBytes ReadTree(FileSystem* fs, const std::string& directory);
/// Those of a database; LOCK is left out, which names who had it open.
FileBytes ReadDatabase(FileSystem* fs, const std::string& directory);
/// Writes files below directories that are made as needed; in-memory file systems only.
void WriteTree(const FileBytes& files, FileSystem* fs);

/// `bytes` damaged; `other` is what kSwap takes from. False if that would change nothing.
bool Damage(DamageWay way, const std::string& other, std::string* bytes);

}  // namespace marble::test

// Ways in which files are damaged, and a copy of a database on the in-memory file system to damage.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <marble/file_system.h>

#include "io/memory_file_system.h"

namespace marble::test {

enum class DamageWay {
  kFlip,           // one bit
  kZero,           // a 512-byte sector
  kTruncate,       // all that follows is gone
  kEmpty,          // all bytes are
  kDelete,         // the file is
  kDuplicateTail,  // the last 64 bytes stand there once more
  kSwapPages,      // two pages of 4 KiB changed places
  kForeignPage,    // a page of 4 KiB is that of another file, or of this one at another time
  kReplace,        // the whole file is another one
};
inline constexpr DamageWay kDamageWays[] = {
    DamageWay::kFlip,      DamageWay::kZero,        DamageWay::kTruncate,
    DamageWay::kEmpty,     DamageWay::kDelete,      DamageWay::kDuplicateTail,
    DamageWay::kSwapPages, DamageWay::kForeignPage, DamageWay::kReplace};
const char* NameOf(DamageWay way);

using FileBytes = std::vector<std::pair<std::string, std::string>>;  // paths and contents

/// All files below `directory`, sorted by path.
FileBytes ReadTree(FileSystem* fs, const std::string& directory);
/// Those of a database; LOCK is left out, which names who had it open.
FileBytes ReadDatabase(FileSystem* fs, const std::string& directory);
/// Writes files below directories that are made as needed; in-memory file systems only.
void WriteTree(const FileBytes& files, FileSystem* fs);

/// Offset and length of a section of an SSTable, of which the footer tells at the end of `text`.
std::pair<int64_t, int64_t> SectionIn(const std::string& text, const std::string& name);

/// Writes files below the folder `to` of the operating system, for a debugger and `marble verify`.
void KeepFiles(const FileBytes& files, const std::filesystem::path& to);

/// Damages `bytes` at offset `at`; pages and files that come from elsewhere are `donor`'s. False if
/// nothing would change. Removing the file (kDelete) is up to the caller.
bool Damage(DamageWay way, size_t at, const std::string& donor, std::string* bytes);

}  // namespace marble::test

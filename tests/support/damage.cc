#include "support/damage.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace marble::test {

const char* NameOf(DamageWay way) {
  static constexpr const char* kNames[] = {"flip",     "flip first",     "flip last",
                                           "truncate", "empty",          "zero",
                                           "delete",   "duplicate tail", "swap"};
  return kNames[static_cast<size_t>(way)];
}

FileBytes ReadTree(FileSystem* fs, const std::string& directory) {
  FileBytes files;
  auto entries = fs->List(directory);
  EXPECT_TRUE(entries.ok()) << entries.status().ToString();
  if (!entries.ok()) return files;
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = directory + "/" + entry.name;
    if (entry.is_directory) {
      const FileBytes below = ReadTree(fs, path);
      files.insert(files.end(), below.begin(), below.end());
      continue;
    }
    auto file = fs->OpenReadable(path);
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    if (!file.ok()) continue;
    auto bytes = (*file)->Read(0, (*file)->size());
    EXPECT_TRUE(bytes.ok()) << bytes.status().ToString();
    if (bytes.ok()) files.emplace_back(path, (*bytes)->ToString());
  }
  std::ranges::sort(files);
  return files;
}

FileBytes ReadDatabase(FileSystem* fs, const std::string& directory) {
  FileBytes files = ReadTree(fs, directory);
  std::erase_if(files, [&](const auto& file) { return file.first == directory + "/LOCK"; });
  return files;
}

void WriteTree(const FileBytes& files, FileSystem* fs) {
  for (const auto& [path, bytes] : files) {
    // An empty folder is in no list of files, but a closed database has one.
    if (path.ends_with("/CURRENT")) {
      const std::string folder = path.substr(0, path.rfind('/'));
      ASSERT_TRUE(fs->CreateDirectory(folder).ok());
      ASSERT_TRUE(fs->CreateDirectory(folder + "/wal").ok());
      ASSERT_TRUE(fs->CreateDirectory(folder + "/sst").ok());
    }
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      ASSERT_TRUE(fs->CreateDirectory(path.substr(0, slash)).ok());
    }
    auto file = fs->CreateWritable(path);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    ASSERT_TRUE((*file)->Append(bytes).ok());
    ASSERT_TRUE((*file)->Close().ok());
  }
}

bool Damage(DamageWay way, const std::string& other, std::string* bytes) {
  const std::string before = *bytes;
  const size_t middle = bytes->size() / 2;
  if (bytes->empty()) return false;
  switch (way) {
    case DamageWay::kFlip:
      (*bytes)[middle] ^= 0x10;
      break;
    case DamageWay::kFlipFirst:
      bytes->front() ^= 0x01;
      break;
    case DamageWay::kFlipLast:
      bytes->back() ^= 0x80;
      break;
    case DamageWay::kTruncate:
      bytes->resize(middle);
      break;
    case DamageWay::kEmpty:
      bytes->clear();
      break;
    case DamageWay::kZero:
      bytes->replace(middle, std::min<size_t>(512, bytes->size() - middle),
                     std::string(std::min<size_t>(512, bytes->size() - middle), '\0'));
      break;
    case DamageWay::kDelete:
      return true;
    case DamageWay::kDuplicateTail:
      *bytes += bytes->substr(bytes->size() - std::min<size_t>(64, bytes->size()));
      break;
    case DamageWay::kSwap: {
      const size_t length = std::min(
          {size_t{4096}, bytes->size() - middle, other.size() - std::min(other.size(), middle)});
      if (length > 0) bytes->replace(middle, length, other, middle, length);
      break;
    }
  }
  return *bytes != before;
}

}  // namespace marble::test

#include "support/damage.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

namespace marble::test {

const char* NameOf(DamageWay way) {
  static constexpr const char* kNames[] = {"flip",       "zero",         "truncate",
                                           "empty",      "delete",       "duplicate tail",
                                           "swap pages", "foreign page", "replace"};
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

std::pair<int64_t, int64_t> SectionIn(const std::string& text, const std::string& name) {
  char* colon = nullptr;
  const int64_t offset =
      std::strtoll(text.c_str() + text.rfind(name + ":") + name.size() + 1, &colon, 10);
  return {offset, std::strtoll(colon + 1, nullptr, 10)};
}

void KeepFiles(const FileBytes& files, const std::filesystem::path& to) {
  for (const auto& [path, bytes] : files) {
    const std::filesystem::path file = to / std::filesystem::path(path).relative_path();
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
  }
}

namespace {

constexpr size_t kSectorBytes = 512;
constexpr size_t kPageBytes = 4096;

/// The page of `at` changes places with the one that lies as far from the other end.
void SwapPages(size_t at, std::string* bytes) {
  const size_t pages = bytes->size() / kPageBytes;
  if (pages < 2) return;
  const size_t one = std::min(at / kPageBytes, pages - 1);
  const size_t other = pages - 1 - one;
  std::swap_ranges(bytes->begin() + static_cast<int64_t>(one * kPageBytes),
                   bytes->begin() + static_cast<int64_t>((one + 1) * kPageBytes),
                   bytes->begin() + static_cast<int64_t>(other * kPageBytes));
}

}  // namespace

bool Damage(DamageWay way, size_t at, const std::string& donor, std::string* bytes) {
  if (way == DamageWay::kDelete) return true;
  if (bytes->empty()) return false;
  const std::string before = *bytes;
  at = std::min(at, bytes->size() - 1);
  const size_t sector = at / kSectorBytes * kSectorBytes;
  const size_t page = at / kPageBytes * kPageBytes;
  switch (way) {
    case DamageWay::kFlip:
      (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << at % 8));
      break;
    case DamageWay::kZero: {
      const size_t length = std::min(kSectorBytes, bytes->size() - sector);
      bytes->replace(sector, length, length, '\0');
      break;
    }
    case DamageWay::kTruncate:
      bytes->resize(at);
      break;
    case DamageWay::kEmpty:
      bytes->clear();
      break;
    case DamageWay::kDelete:
      break;
    case DamageWay::kDuplicateTail:
      *bytes += bytes->substr(bytes->size() - std::min<size_t>(64, bytes->size()));
      break;
    case DamageWay::kSwapPages:
      SwapPages(at, bytes);
      break;
    case DamageWay::kForeignPage: {
      const size_t length =
          std::min({kPageBytes, bytes->size() - page, donor.size() - std::min(donor.size(), page)});
      bytes->replace(page, length, donor, std::min(donor.size(), page), length);
      break;
    }
    case DamageWay::kReplace:
      *bytes = donor;
      break;
  }
  return *bytes != before;
}

}  // namespace marble::test

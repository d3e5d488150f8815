// What the io tests share: a directory that goes away with its test, and short forms of statuses.
#pragma once

#include <gtest/gtest.h>

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <string_view>

#include <arrow/result.h>
#include <arrow/status.h>
#include <arrow/util/io_util.h>

#include <marble/file_system.h>

namespace marble {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = ::testing::TempDir() + "/marble_io_XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = std::filesystem::canonical(pattern);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline int ErrnoOf(const arrow::Status& status) { return arrow::internal::ErrnoFromStatus(status); }

#define ASSERT_STATUS_OK(expr)                       \
  do {                                               \
    const ::arrow::Status status_ = (expr);          \
    ASSERT_TRUE(status_.ok()) << status_.ToString(); \
  } while (false)

/// The value of a result that must be there.
template <typename T>
T Must(arrow::Result<T> result) {
  EXPECT_TRUE(result.ok()) << result.status().ToString();
  return std::move(result).ValueOrDie();
}

/// A file with this content.
inline void WriteFile(FileSystem* fs, const std::string& path, std::string_view content,
                      bool sync = true) {
  auto file = Must(fs->CreateWritable(path));
  ASSERT_STATUS_OK(file->Append(content));
  if (sync) ASSERT_STATUS_OK(file->Sync());
  ASSERT_STATUS_OK(file->Close());
}

inline std::string ReadFile(FileSystem* fs, const std::string& path) {
  auto file = Must(fs->OpenReadable(path));
  return Must(file->Read(0, file->size()))->ToString();
}

/// `size` bytes that differ from place to place.
inline std::string Pattern(size_t size, uint32_t seed = 1) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 2654435761u + seed) >> 11);
  return bytes;
}

}  // namespace marble

// Where a large test puts a database: below MARBLE_TEST_DIRECTORY if that is set, and then it stays
// behind for tools/check_sstables.py; otherwise in a temporary folder that goes with this object.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

namespace marble::test {

class KeptDirectory {
 public:
  explicit KeptDirectory(const std::string& name) {
    const char* kept = std::getenv("MARBLE_TEST_DIRECTORY");
    kept_ = kept != nullptr && *kept != '\0';
    // Two runs of a test at the same time must not meet in one temporary folder.
    folder_ = kept_ ? std::filesystem::path(kept) / ("marble_" + name)
                    : std::filesystem::path(testing::TempDir()) /
                          ("marble_" + name + "_" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~KeptDirectory() {
    std::error_code ignored;
    if (!kept_) std::filesystem::remove_all(folder_, ignored);
  }
  KeptDirectory(const KeptDirectory&) = delete;
  KeptDirectory& operator=(const KeptDirectory&) = delete;

  /// A path in it that does not exist at first.
  std::string database() const { return (folder_ / "database").string(); }
  std::filesystem::path folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  bool kept_ = false;
};

}  // namespace marble::test

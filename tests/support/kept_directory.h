// Where a large test puts a database: below MARBLE_TEST_DIRECTORY if that is set, and then it stays
// behind for tools/check_sstables.py; otherwise in a temporary folder that goes with this object.
#pragma once

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
    folder_ = (kept_ ? std::filesystem::path(kept) : std::filesystem::path(testing::TempDir())) /
              ("marble_" + name);
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

#include "tree/file_pin.h"

#include <optional>

#include <gtest/gtest.h>

#include "io/memory_file_system.h"

namespace marble {
namespace {

class FilePinTest : public testing::Test {
 protected:
  void SetUp() override {
    auto file = fs_.CreateWritable("/file");
    ASSERT_TRUE(file.ok()) << file.status().ToString();
  }
  bool Exists() { return *fs_.Exists("/file"); }

  MemoryFileSystem fs_;
};

TEST_F(FilePinTest, AFileIsRemovedWhenTheLastOfItsReadersLetsGo) {
  std::optional<FilePin> before_close(std::in_place, &fs_, "/file");
  std::optional<FilePin> after_reopen(std::in_place, &fs_, "/file");
  after_reopen->RemoveAtLast();
  after_reopen.reset();
  EXPECT_TRUE(Exists());
  before_close.reset();
  EXPECT_FALSE(Exists());
}

TEST_F(FilePinTest, AFileThatIsStillNeededStays) {
  {
    const FilePin pin(&fs_, "/file");
  }
  EXPECT_TRUE(Exists());
}

TEST_F(FilePinTest, AnOrphanWithAReaderWaitsForIt) {
  {
    const FilePin pin(&fs_, "/file");
    ASSERT_TRUE(RemoveWhenUnpinned(&fs_, "/file").ok());
    EXPECT_TRUE(Exists());
  }
  EXPECT_FALSE(Exists());
}

TEST_F(FilePinTest, AnOrphanThatItsLastReaderHasJustRemovedIsNoError) {
  ASSERT_TRUE(fs_.Remove("/file").ok());
  EXPECT_TRUE(RemoveWhenUnpinned(&fs_, "/file").ok());
}

TEST_F(FilePinTest, AnOrphanWithoutReadersGoesAtOnce) {
  ASSERT_TRUE(RemoveWhenUnpinned(&fs_, "/file").ok());
  EXPECT_FALSE(Exists());
}

}  // namespace
}  // namespace marble

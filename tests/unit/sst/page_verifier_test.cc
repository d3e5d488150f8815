// Pages are checked before their bytes are used, whichever part of them is asked for.
#include "sst/page_verifier.h"

#include <string>
#include <utility>
#include <vector>

#include "sst/sst_format.h"
#include "unit/sst/sst_test_util.h"

namespace marble {
namespace {

using namespace sst_test;

constexpr int64_t kCovered = 3 * kSstPageBytes + 1000;

class PageVerifierTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    for (int64_t i = 0; i < kCovered; ++i) bytes_.push_back(static_cast<char>(i * i >> 3));
    auto file = Get(fs_.CreateWritable("/file"));
    SST_ASSERT_OK(file->Append(bytes_ + "and the checksums"));
    SST_ASSERT_OK(file->Close());
  }

  /// A new one, which has not seen any page. The parameter: is the file mapped?
  std::unique_ptr<PageVerifier> Open() {
    std::vector<uint64_t> checksums;
    for (int64_t page = 0; page * kSstPageBytes < kCovered; ++page) {
      checksums.push_back(Checksum(
          std::string_view(bytes_).substr(page * kSstPageBytes, kSstPageBytes), PageSeed(page)));
    }
    std::shared_ptr<ReadableFile> file = Get(fs_.OpenReadable("/file"));
    auto mapping = GetParam() ? Get(file->Map()) : nullptr;
    return std::make_unique<PageVerifier>(std::move(file), std::move(mapping), "/file", kCovered,
                                          std::move(checksums));
  }

  MemoryFileSystem fs_;
  std::string bytes_;
};

INSTANTIATE_TEST_SUITE_P(Mapped, PageVerifierTest, ::testing::Bool());

TEST_P(PageVerifierTest, AnyRangeIsReadAsItIs) {
  const auto pages = Open();
  const std::vector<int64_t> places = {0,
                                       1,
                                       100,
                                       kSstPageBytes - 1,
                                       kSstPageBytes,
                                       kSstPageBytes + 64,
                                       2 * kSstPageBytes,
                                       3 * kSstPageBytes,
                                       kCovered - 1,
                                       kCovered};
  for (const int64_t begin : places) {
    for (const int64_t end : places) {
      if (begin > end) continue;
      const auto read = Get(pages->Read(begin, end - begin, arrow::default_memory_pool()));
      ASSERT_EQ(read->ToString(), bytes_.substr(begin, end - begin)) << begin << " to " << end;
    }
  }
  SST_ASSERT_OK(pages->VerifyAll());
}

TEST_P(PageVerifierTest, ARangeIsRefusedExactlyIfOneOfItsPagesIsDamaged) {
  for (const bool scarce : {false, true}) {
    fs_.set_memory_is_scarce(scarce);
    for (int64_t damaged = 0; damaged < 4; ++damaged) {
      SST_ASSERT_OK(fs_.Damage("/file", damaged * kSstPageBytes + 500, 1));
      for (int64_t first = 0; first < 4; ++first) {
        for (int64_t last = first; last < 4; ++last) {
          const int64_t begin = first * kSstPageBytes + 10;
          const int64_t end = last * kSstPageBytes + 600;
          const bool sound = damaged < first || damaged > last;
          const auto pages = Open();
          const arrow::Status status = pages->Verify(begin, end - begin);
          EXPECT_EQ(status.ok(), sound) << damaged << ": " << first << " to " << last;
          EXPECT_EQ(IsCorruption(status), !sound);
          const auto read = pages->Read(begin, end - begin, arrow::default_memory_pool());
          EXPECT_EQ(read.ok(), sound);
          if (!sound) {
            EXPECT_EQ(DetailOf(status)->offset(), damaged * kSstPageBytes);
          }
        }
      }
      EXPECT_TRUE(IsCorruption(Open()->VerifyAll()));
      SST_ASSERT_OK(fs_.Damage("/file", damaged * kSstPageBytes + 500, 1));
    }
  }
}

TEST_P(PageVerifierTest, NothingIsReadForNothing) {
  const auto pages = Open();
  fs_.FailNth(FileOp::kRead, 1, arrow::Status::IOError("device"), /*sticky=*/true);
  SST_ASSERT_OK(pages->Verify(kCovered, 0));
  EXPECT_EQ(Get(pages->Read(kCovered, 0, arrow::default_memory_pool()))->size(), 0);
}

}  // namespace
}  // namespace marble

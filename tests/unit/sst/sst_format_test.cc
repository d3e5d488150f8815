// Tests of what is text or arithmetic in the SSTable format.
#include "sst/sst_format.h"

#include <gtest/gtest.h>

#include "sst/file_meta.h"

namespace marble {
namespace {

TEST(SstFormat, FileNamesHaveSixDigitsOrMore) {
  EXPECT_EQ(SstFileName(42), "000042.arrow");
  EXPECT_EQ(SstFileName(12345678), "12345678.arrow");
}

TEST(SstFormat, SectionDirectoriesSurviveTheirText) {
  const SectionDirectory directory = {
      {"point_index", {64, 1000}}, {"empty", {128, 0}}, {"far", {int64_t{1} << 60, 7}}};
  EXPECT_EQ(DecodeSectionDirectory(EncodeSectionDirectory(directory)).ValueOrDie(), directory);
  for (const SectionLocation other : {SectionLocation{64, 999}, SectionLocation{65, 1000}}) {
    EXPECT_NE(directory.at("point_index"), other);
  }
  EXPECT_TRUE(DecodeSectionDirectory("").ValueOrDie().empty());
}

TEST(SstFormat, MalformedDirectoriesAreRefused) {
  for (const char* text : {"a", "a:1", "a:1:", "a:1:x;", "a:-1:2;", ":1:2;", "a:1:2:3;",
                           "a:1:2;a:3:4;", "a:9223372036854775807:9223372036854775807;",
                           "a:9223372036854775808:0;", "a:99999999999999999999:1;", ";"}) {
    EXPECT_TRUE(DecodeSectionDirectory(text).status().IsInvalid()) << text;
  }
}

TEST(SstFormat, DecimalsAreDigitsOnly) {
  EXPECT_EQ(ParseDecimal("18446744073709551615"), 18446744073709551615ull);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616"}) {
    EXPECT_EQ(ParseDecimal(text), std::nullopt) << text;
  }
}

TEST(SstFormat, TheTailsStartFollowsFromTheLengthsForEveryFileSize) {
  constexpr int64_t kFooter = 1000;
  for (int64_t start = 64; start < 20 * kSstPageBytes; start += 64) {
    const int64_t pages = (start + kSstPageBytes - 1) / kSstPageBytes;
    const int64_t size = start + 8 * pages + 8 + kFooter + 10;
    ASSERT_EQ(TailStart(size, kFooter), start);
  }
}

TEST(SstFormat, ImpossibleLengthsHaveNoTail) {
  EXPECT_EQ(TailStart(1000, 0), std::nullopt);
  EXPECT_EQ(TailStart(1000, -5), std::nullopt);
  EXPECT_EQ(TailStart(1000, 990), std::nullopt);
  EXPECT_EQ(TailStart(0, 1), std::nullopt);
  EXPECT_EQ(TailStart(64 + 8 + 8 + 100 + 10 + 1, 100), std::nullopt);  // not aligned
  EXPECT_EQ(TailStart(8 + 8 + 100 + 10, 100), std::nullopt);           // nothing in front of it
  // Room for the checksums of two pages, behind what is one page.
  EXPECT_EQ(TailStart(kSstPageBytes + 16 + 8 + 100 + 10, 100), std::nullopt);
}

}  // namespace
}  // namespace marble

// Which files of a database's directories are its own.
#include "tree/file_names.h"

#include <gtest/gtest.h>

namespace marble {
namespace {

TEST(FileNames, ComeBackAsTheirNumbers) {
  for (const uint64_t number : {uint64_t{0}, uint64_t{42}, uint64_t{123456789}, ~uint64_t{0}}) {
    const auto name_of = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
    EXPECT_EQ(ParseManifestName(ManifestName(number)), number);
    EXPECT_EQ(ParseLogSegmentName(name_of(LogSegmentPath("/db", number))), number);
    EXPECT_EQ(ParseSpareSegmentName(name_of(SpareSegmentPath("/db", number))), number);
    EXPECT_EQ(ParseSstName(name_of(SstPath("/db", number))), number);
  }
}

TEST(FileNames, OfOthersHaveNoNumber) {
  for (const char* name : {"",
                           "CURRENT",
                           "LOCK",
                           "MANIFEST-",
                           "MANIFEST-12345",
                           "MANIFEST-00001x",
                           "manifest-000001",
                           "MANIFEST-99999999999999999999",
                           "MANIFEST--00001",
                           "000001",
                           "000001.sst",
                           "00001.wal",
                           "0000x1.wal",
                           "000001.wal~",
                           ".wal",
                           ".arrow",
                           "00001.arrow",
                           "-00001.arrow",
                           "000001.arrow.tmp",
                           "99999999999999999999.arrow",
                           "spare-.wal",
                           "spare-000001",
                           "spare-000001.arrow",
                           "spare-00001.wal",
                           "spare000001.wal"}) {
    EXPECT_EQ(ParseManifestName(name), std::nullopt) << name;
    EXPECT_EQ(ParseLogSegmentName(name), std::nullopt) << name;
    EXPECT_EQ(ParseSpareSegmentName(name), std::nullopt) << name;
    EXPECT_EQ(ParseSstName(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace marble

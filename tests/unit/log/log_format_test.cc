// The headers of log files and their records, byte by byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include <marble/error.h>

#include "base/checksum.h"
#include "base/coding.h"
#include "io/memory_file_system.h"
#include "log/log_format.h"
#include "log/log_writer.h"
#include "unit/io/io_test_support.h"
#include "unit/log/log_test_support.h"

namespace marble {
namespace {

using ::testing::HasSubstr;

/// A file header with a changed field and a checksum that is right.
std::string HeaderWith(size_t at, std::string_view bytes) {
  std::string header = EncodeLogFileHeader(HeaderOf(LogFileKind::kSegment, kNumber));
  header.replace(at, bytes.size(), bytes);
  StoreLittle(header.data() + 56, Checksum(std::string_view(header).substr(0, 56)));
  return header;
}

TEST(LogFormat, NewerVersionsAndUnknownNeedsAreIncompatible) {
  EXPECT_TRUE(DecodeLogFileHeader(HeaderWith(0, ""), kPath).ok());
  EXPECT_TRUE(IsIncompatibleFormat(DecodeLogFileHeader(HeaderWith(8, "\x02"), kPath).status()));
  EXPECT_TRUE(IsIncompatibleFormat(DecodeLogFileHeader(HeaderWith(52, "\x03"), kPath).status()));
  EXPECT_TRUE(IsCorruption(DecodeLogFileHeader(HeaderWith(12, "\x09"), kPath).status()));
}

TEST(LogFormat, FlagsThatMayBeIgnoredAreAndReadOnlyOnesAreTold) {
  EXPECT_FALSE(Must(DecodeLogFileHeader(HeaderWith(48, "\xff\xff"), kPath)).may_only_read);
  EXPECT_TRUE(Must(DecodeLogFileHeader(HeaderWith(50, "\x04"), kPath)).may_only_read);
  LogFileHeader header = HeaderOf(LogFileKind::kSegment, kNumber);
  header.may_only_read = true;
  EXPECT_TRUE(Must(DecodeLogFileHeader(EncodeLogFileHeader(header), kPath)).may_only_read);
}

TEST(LogFormat, AHeaderNeverWrittenSaysSo) {
  const arrow::Status status = DecodeLogFileHeader(std::string(64, '\0'), kPath).status();
  EXPECT_TRUE(IsCorruption(status));
  EXPECT_THAT(status.message(), HasSubstr("never written"));
}

TEST(LogFormat, TheLayoutIsTheDocumentedOne) {
  LogFileHeader file = HeaderOf(LogFileKind::kManifest, 0x1122);
  const std::string bytes = EncodeLogFileHeader(file);
  ASSERT_EQ(bytes.size(), 64u);
  EXPECT_EQ(bytes.substr(0, 8), "MRBLLOG1");
  EXPECT_EQ(LoadLittle<uint32_t>(bytes.data() + 8), 1u);
  EXPECT_EQ(LoadLittle<uint32_t>(bytes.data() + 12), 2u);
  EXPECT_EQ(bytes[16], 1);
  EXPECT_EQ(LoadLittle<uint64_t>(bytes.data() + 32), 0x1122u);
  EXPECT_EQ(LoadLittle<uint64_t>(bytes.data() + 40), 0x1121u);
  EXPECT_EQ(LoadLittle<uint64_t>(bytes.data() + 48), uint64_t{1} << 32);
  EXPECT_EQ(LoadLittle<uint64_t>(bytes.data() + 56), Checksum(bytes.substr(0, 56)));

  // Small and large records are made in different ways and must agree with one formula.
  MemoryFileSystem fs;
  const LogFileHeader header = HeaderOf(LogFileKind::kSegment, kNumber);
  auto writer = Must(SegmentWriter::Start(Must(fs.CreateSegment(kPath, 1 << 20)), header));
  for (const size_t size : {5, 132, 300, 5000}) {
    const uint64_t offset = writer->position().offset;
    const std::string payload = Pattern(size);
    const std::string_view part = payload;
    ASSERT_TRUE(writer->Append(RecordHeader(3), {&part, 1}, WriteVia::kMapping).ok());
    const std::string record = ReadFile(&fs, kPath).substr(offset);
    EXPECT_EQ(LoadLittle<uint64_t>(record.data()), size);
    EXPECT_EQ(LoadLittle<uint64_t>(record.data() + 8), 1u);
    EXPECT_EQ(LoadLittle<uint64_t>(record.data() + 16), 1003u);
    EXPECT_EQ(LoadLittle<uint64_t>(record.data() + 24), 4u);
    EXPECT_EQ(LoadLittle<uint64_t>(record.data() + 32), kNumber - 1);
    EXPECT_EQ(LoadLittle<uint64_t>(record.data() + 40), 192u);
    EXPECT_EQ(LoadLittle<uint64_t>(record.data() + 48),
              Checksum(record.substr(0, 48) + payload, RecordSeed(LogSeed(header), offset)));
    EXPECT_EQ(record.substr(64, size), payload);
  }
}

}  // namespace
}  // namespace marble

// The record format with its writers and reader: what was written comes back, and nothing else
// does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <arrow/util/io_util.h>

#include <marble/error.h>

#include "base/checksum.h"
#include "base/coding.h"
#include "io/memory_file_system.h"
#include "io/posix_file_system.h"
#include "log/log_reader.h"
#include "log/log_writer.h"
#include "unit/io/io_test_support.h"
#include "unit/log/log_test_support.h"

namespace marble {
namespace {

using ::testing::HasSubstr;

class LogTest : public ::testing::Test {
 protected:
  std::unique_ptr<SegmentWriter> StartSegment(int64_t capacity, uint64_t number = kNumber) {
    auto file = Must(fs_.CreateSegment(kPath, capacity));
    return Must(SegmentWriter::Start(std::move(file), HeaderOf(LogFileKind::kSegment, number)));
  }

  arrow::Result<std::unique_ptr<LogReader>> OpenSegment(uint64_t number = kNumber) {
    ARROW_ASSIGN_OR_RAISE(auto file, fs_.OpenReadable(kPath));
    const Uuid uuid = TestUuid();
    return LogReader::Open(std::move(file), kPath, LogFileKind::kSegment, &uuid, number);
  }

  static LogPosition Append(SegmentWriter* writer, uint64_t i, std::string_view payload,
                            WriteVia via = WriteVia::kMapping) {
    EXPECT_TRUE(writer->Fits(payload.size()));
    return Must(writer->Append(RecordHeader(i), {&payload, 1}, via));
  }

  /// Three records of 10, 100 and 70 payload bytes: [64, 192), [192, 384), [384, 576).
  void WriteThree() {
    auto writer = StartSegment(1024);
    for (const size_t size : {10, 100, 70}) Append(writer.get(), size, Pattern(size));
    ASSERT_EQ(writer->position().offset, 576u);
  }

  /// What looks like a record and does not verify.
  void PutFalseHeader(int64_t offset, int64_t payload_bytes) {
    char bytes[64];
    LogRecordHeader header;
    header.count = 1;
    header.payload_bytes = static_cast<uint64_t>(payload_bytes);
    EncodeLogRecordHeader(header, 1, bytes);
    ASSERT_STATUS_OK(fs_.Overwrite(kPath, offset, {bytes, 64}));
  }

  MemoryFileSystem fs_;
};

TEST_F(LogTest, RecordsOfAllSizesComeBack) {
  const size_t sizes[] = {0,    1,    63,    64,        65,      132,     4031, 4032,
                          4033, 4096, 70000, (1 << 20), 2500000, 1048448, 5,    100};
  std::vector<std::string> payloads;
  auto writer = StartSegment(8 << 20);
  std::vector<LogPosition> ends;
  for (const size_t size : sizes) {
    payloads.push_back(Pattern(size, static_cast<uint32_t>(payloads.size())));
    const std::string& payload = payloads.back();
    const std::string_view parts[] = {std::string_view(payload).substr(0, size / 3), "",
                                      std::string_view(payload).substr(size / 3)};
    const WriteVia via = size % 2 ? WriteVia::kMapping : WriteVia::kSystemCall;
    LogRecordHeader header = RecordHeader(payloads.size());
    header.payload_bytes = 999;  // taken from the parts
    ends.push_back(Must(writer->Append(header, parts, via)));
    EXPECT_EQ(ends.back(), writer->position());
  }
  auto reader = Must(OpenSegment());
  EXPECT_EQ(reader->header().predecessor, kNumber - 1);
  EXPECT_EQ(reader->header().uuid, TestUuid());
  EXPECT_FALSE(reader->header().may_only_read);
  uint64_t begin = kLogHeaderBytes;
  std::vector<std::shared_ptr<arrow::Buffer>> held;
  for (size_t i = 0; i < payloads.size(); ++i) {
    const auto record = Must(reader->Next());
    ASSERT_NE(record, nullptr) << i;
    EXPECT_EQ(record->header.kind, LogRecordKind::kCommit);
    EXPECT_EQ(record->header.payload_bytes, payloads[i].size());
    EXPECT_EQ(record->header.first_sequence, 1001 + i);
    EXPECT_EQ(record->header.count, i + 2);
    EXPECT_EQ(record->header.durable_through, (LogPosition{kNumber - 1, 64 * (i + 1)}));
    EXPECT_EQ(record->begin, (LogPosition{kNumber, begin}));
    EXPECT_EQ(record->end, ends[i]);
    EXPECT_EQ(record->begin.offset % kLogAlignment, 0u);
    EXPECT_EQ(record->payload->address() % kLogAlignment, 0u);
    begin = record->end.offset;
    held.push_back(record->payload);
  }
  EXPECT_EQ(Must(reader->Next()), nullptr);
  EXPECT_EQ(reader->stopped_at(), ends.back());
  EXPECT_EQ(Must(reader->TornBytes(ends.back().offset, 0)), 0);
  reader.reset();
  for (size_t i = 0; i < payloads.size(); ++i) EXPECT_EQ(held[i]->ToString(), payloads[i]);
}

TEST_F(LogTest, AMappedSegmentOnDiskComesBack) {
  TemporaryDirectory directory;
  PosixFileSystem fs;
  const std::string path = directory.path() + "/log";
  auto file = Must(fs.CreateSegment(path, 4 << 20));
  auto writer =
      Must(SegmentWriter::Start(std::move(file), HeaderOf(LogFileKind::kSegment, kNumber)));
  uint64_t written = 0;
  for (; writer->Fits(132); ++written) Append(writer.get(), written, Pattern(132, written));
  EXPECT_EQ(written, ((4u << 20) - 64) / 256);
  ASSERT_STATUS_OK(writer->Sync());
  ASSERT_STATUS_OK(writer->Close());
  auto reader = Must(
      LogReader::Open(Must(fs.OpenReadable(path)), path, LogFileKind::kSegment, nullptr, kNumber));
  for (uint64_t i = 0; i < written; ++i) {
    const auto record = Must(reader->Next());
    ASSERT_NE(record, nullptr) << i;
    ASSERT_EQ(record->header.first_sequence, 1000 + i);
    ASSERT_EQ(record->payload->ToString(), Pattern(132, i));
  }
  EXPECT_EQ(Must(reader->Next()), nullptr);
}

TEST_F(LogTest, FitsCountsHeaderAndPaddingAndSurvivesAnyLength) {
  auto writer = StartSegment(64 + 128 + 64);
  EXPECT_TRUE(writer->Fits(128));
  EXPECT_FALSE(writer->Fits(129));
  EXPECT_FALSE(writer->Fits(UINT64_MAX));
  EXPECT_FALSE(writer->Fits(UINT64_MAX - 127));
  Append(writer.get(), 0, Pattern(64));
  EXPECT_TRUE(writer->Fits(0));
  EXPECT_FALSE(writer->Fits(1));
  Append(writer.get(), 1, "");
  EXPECT_FALSE(writer->Fits(0));
}

TEST_F(LogTest, EveryFlippedByteOfARecordIsDetected) {
  WriteThree();
  for (int64_t offset = 192; offset < 384; ++offset) {
    for (const uint8_t mask : {0x01, 0x80, 0xff}) {
      ASSERT_STATUS_OK(fs_.Damage(kPath, offset, mask));
      auto reader = Must(OpenSegment());
      ASSERT_NE(Must(reader->Next()), nullptr);
      ASSERT_EQ(Must(reader->Next()), nullptr) << offset;
      EXPECT_EQ(reader->stopped_at().offset, 192u);
      const int64_t torn = Must(reader->TornBytes(192, 1000));
      if (offset >= 192 + kLogRecordHeaderBytes) {
        EXPECT_EQ(torn, 192);
      }
      // It stays stopped, and the record behind it is found without its help.
      EXPECT_EQ(Must(reader->Next()), nullptr);
      const auto later = Must(reader->FindAfter(reader->stopped_at().offset));
      ASSERT_NE(later, nullptr) << offset;
      EXPECT_EQ(later->begin.offset, 384u);
      ASSERT_STATUS_OK(fs_.Damage(kPath, offset, mask));
    }
  }
}

TEST_F(LogTest, EveryFlippedByteOfTheFileHeaderIsDetected) {
  WriteThree();
  for (int64_t offset = 0; offset < kLogHeaderBytes; ++offset) {
    ASSERT_STATUS_OK(fs_.Damage(kPath, offset, 0x10));
    const arrow::Status status = OpenSegment().status();
    EXPECT_TRUE(IsCorruption(status)) << offset << ": " << status.ToString();
    EXPECT_EQ(DetailOf(status)->file(), kPath);
    ASSERT_STATUS_OK(fs_.Damage(kPath, offset, 0x10));
  }
  EXPECT_TRUE(OpenSegment().ok());
}

TEST_F(LogTest, ARecordCopiedToAnotherPlaceIsRejected) {
  auto writer = StartSegment(1024);
  for (uint64_t i = 0; i < 3; ++i) Append(writer.get(), i, Pattern(64, i));
  const std::string content = ReadFile(&fs_, kPath);
  ASSERT_STATUS_OK(fs_.Overwrite(kPath, 192, content.substr(64, 128)));
  auto reader = Must(OpenSegment());
  ASSERT_NE(Must(reader->Next()), nullptr);
  EXPECT_EQ(Must(reader->Next()), nullptr);
  EXPECT_EQ(reader->stopped_at().offset, 192u);
}

TEST_F(LogTest, ARecycledSegmentsStaleRecordsAreRejected) {
  {
    auto writer = StartSegment(4096);
    while (writer->Fits(64)) Append(writer.get(), 0, Pattern(64));
  }
  auto writer = Must(SegmentWriter::Start(Must(fs_.OpenSegment(kPath)),
                                          HeaderOf(LogFileKind::kSegment, kNumber + 5)));
  Append(writer.get(), 7, Pattern(64, 9));
  auto reader = Must(OpenSegment(kNumber + 5));
  const auto record = Must(reader->Next());
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->payload->ToString(), Pattern(64, 9));
  EXPECT_EQ(Must(reader->Next()), nullptr);
  EXPECT_EQ(Must(reader->TornBytes(reader->stopped_at().offset, 1007)), 0);
  EXPECT_EQ(Must(reader->FindAfter(reader->stopped_at().offset)), nullptr);
}

TEST_F(LogTest, ARecordMadeForAnotherDatabaseIsRejectedInItsVeryPlace) {
  WriteThree();
  const std::string theirs = ReadFile(&fs_, kPath).substr(192, 192);
  LogFileHeader header = HeaderOf(LogFileKind::kSegment, kNumber);
  header.uuid[15] ^= 1;
  auto writer = Must(SegmentWriter::Start(Must(fs_.CreateSegment("/other", 1024)), header));
  for (const size_t size : {10, 100, 70}) Append(writer.get(), size, Pattern(size));
  EXPECT_NE(ReadFile(&fs_, "/other").substr(192, 192), theirs);
  ASSERT_STATUS_OK(fs_.Overwrite("/other", 192, theirs));
  auto reader = Must(LogReader::Open(Must(fs_.OpenReadable("/other")), "/other",
                                     LogFileKind::kSegment, &header.uuid, kNumber));
  EXPECT_NE(Must(reader->Next()), nullptr);
  EXPECT_EQ(Must(reader->Next()), nullptr);
  EXPECT_EQ(Must(reader->FindAfter(192))->begin.offset, 384u);
}

TEST_F(LogTest, ARecordOfTheOtherKindOfFileIsNoneThoughNumberAndPlaceAreRight) {
  // A crash may leave old blocks of one file in another.
  auto segment = StartSegment(1024);
  const std::string_view payload = "x";
  LogRecordHeader edit = RecordHeader(1);
  edit.kind = LogRecordKind::kEdit;
  Must(segment->Append(edit, {&payload, 1}, WriteVia::kMapping));
  EXPECT_EQ(Must(Must(OpenSegment())->Next()), nullptr);
  auto manifest = Must(ManifestWriter::Start(Must(fs_.CreateWritable("/manifest")),
                                             HeaderOf(LogFileKind::kManifest, kNumber)));
  ASSERT_STATUS_OK(manifest->AppendAndSync(RecordHeader(1), payload));
  auto reader = Must(LogReader::Open(Must(fs_.OpenReadable("/manifest")), "/manifest",
                                     LogFileKind::kManifest, nullptr, kNumber));
  EXPECT_EQ(Must(reader->Next()), nullptr);
  EXPECT_EQ(Must(reader->FindAfter(0)), nullptr);
}

TEST_F(LogTest, RecordsOfFilesThatAreNotSeededWithTheUuidComeBack) {
  LogFileHeader header = HeaderOf(LogFileKind::kSegment, kNumber);
  header.seeded_with_uuid = false;
  auto writer = Must(SegmentWriter::Start(Must(fs_.CreateSegment(kPath, 1024)), header));
  Append(writer.get(), 100, Pattern(100));
  auto reader = Must(OpenSegment());
  EXPECT_FALSE(reader->header().seeded_with_uuid);
  const auto record = Must(reader->Next());
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->payload->ToString(), Pattern(100));
}

TEST_F(LogTest, AFileCutAnywhereGivesTheWholeRecordsBeforeTheCut) {
  WriteThree();
  const std::string content = ReadFile(&fs_, kPath).substr(0, 576);
  for (size_t size = content.size() + 1; size-- > 0;) {
    ASSERT_STATUS_OK(fs_.Truncate(kPath, static_cast<int64_t>(size)));
    auto opened = OpenSegment();
    if (size < 64) {
      EXPECT_TRUE(IsCorruption(opened.status())) << size;
      continue;
    }
    auto reader = Must(std::move(opened));
    const size_t expected = size < 192 ? 0 : size < 384 ? 1 : size < 576 ? 2 : 3;
    size_t records = 0;
    while (Must(reader->Next()) != nullptr) ++records;
    EXPECT_EQ(records, expected) << size;
    EXPECT_EQ(Must(reader->FindAfter(reader->stopped_at().offset)), nullptr);
    EXPECT_EQ(Must(reader->FindAfter(UINT64_MAX)), nullptr);
  }
}

TEST_F(LogTest, HostileLengthsAreNoRecords) {
  WriteThree();
  const uint64_t lengths[] = {
      1024,           INT64_MAX,  UINT64_MAX, UINT64_MAX - 63, UINT64_MAX - 127,
      INT64_MAX - 63, 1024 - 128, 1024 - 127};
  for (const uint64_t length : lengths) {
    char bytes[8];
    StoreLittle(bytes, length);
    ASSERT_STATUS_OK(fs_.Overwrite(kPath, 64, {bytes, 8}));
    auto reader = Must(OpenSegment());
    EXPECT_EQ(Must(reader->Next()), nullptr) << length;
    EXPECT_EQ(Must(reader->FindAfter(0))->begin.offset, 192u);
  }
}

TEST_F(LogTest, FindAfterGoesFromRecordToRecordAndLeavesNextAlone) {
  WriteThree();
  auto reader = Must(OpenSegment());
  std::vector<uint64_t> found;
  for (uint64_t offset = 0;;) {
    const auto record = Must(reader->FindAfter(offset));
    if (record == nullptr) break;
    found.push_back(record->begin.offset);
    offset = record->end.offset;
  }
  EXPECT_EQ(found, (std::vector<uint64_t>{64, 192, 384}));
  EXPECT_EQ(Must(reader->FindAfter(65))->begin.offset, 192u);
  EXPECT_EQ(Must(reader->Next())->begin.offset, 64u);
}

TEST_F(LogTest, FindAfterSeesRecordsInAllPiecesOfALargeFile) {
  constexpr int64_t kCapacity = 5 << 20;
  auto writer = StartSegment(kCapacity);
  std::vector<uint64_t> begins;
  while (writer->Fits(300000)) {
    begins.push_back(writer->position().offset);
    Append(writer.get(), 0, Pattern(300000));
  }
  for (size_t i = 0; i < begins.size(); i += 2) {
    ASSERT_STATUS_OK(fs_.Damage(kPath, static_cast<int64_t>(begins[i]) + 1000, 1));
  }
  auto reader = Must(OpenSegment());
  EXPECT_EQ(Must(reader->Next()), nullptr);
  uint64_t offset = 0;
  for (size_t i = 1; i < begins.size(); i += 2) {
    const auto record = Must(reader->FindAfter(offset));
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(record->begin.offset, begins[i]);
    offset = record->end.offset;
  }
}

TEST_F(LogTest, OverlappingFalseHeadersEndTheSearchNotInEndlessWork) {
  constexpr int64_t kCapacity = 1 << 20;
  StartSegment(kCapacity);
  for (int64_t at = 64; at + 64 < kCapacity; at += 64) PutFalseHeader(at, kCapacity - at - 64);
  auto reader = Must(OpenSegment());
  EXPECT_EQ(Must(reader->Next()), nullptr);
  EXPECT_EQ(Must(reader->FindAfter(64)), nullptr);
  EXPECT_TRUE(reader->gave_up());
}

TEST_F(LogTest, FindAfterPassesOverWhatNoWriterCanHaveWrittenAndOverOldSequences) {
  WriteThree();  // sequences 1010, 1100 and 1070
  constexpr int64_t kBegin = 576;
  const auto found = [&](const std::function<void(LogRecordHeader*)>& change) {
    LogRecordHeader header = RecordHeader(101);
    header.durable_through = {kNumber, 384};
    header.payload_bytes = 64;
    change(&header);
    char bytes[128] = {};
    const std::string_view payload(bytes + 64, 64);
    EncodeLogRecordHeader(header, 0, bytes);
    const std::string_view checked(bytes, kLogRecordCheckedBytes);
    const uint64_t seed = RecordSeed(LogSeed(HeaderOf(LogFileKind::kSegment, kNumber)), kBegin);
    EncodeLogRecordHeader(header, ChecksumOfParts(checked, {&payload, 1}, seed), bytes);
    EXPECT_TRUE(fs_.Overwrite(kPath, kBegin, {bytes, 128}).ok());
    return Must(Must(OpenSegment())->FindAfter(kBegin, 1100)) != nullptr;
  };
  EXPECT_TRUE(found([](LogRecordHeader*) {}));
  EXPECT_FALSE(found([](LogRecordHeader* h) { h->kind = LogRecordKind::kEdit; }));
  EXPECT_FALSE(found([](LogRecordHeader* h) { h->count = 0; }));
  EXPECT_FALSE(found([](LogRecordHeader* h) { h->first_sequence = 1100; }));
  EXPECT_FALSE(found([](LogRecordHeader* h) { h->durable_through = {kNumber, 400}; }));
  EXPECT_FALSE(found([](LogRecordHeader* h) { h->durable_through = {kNumber, kBegin + 64}; }));
  EXPECT_FALSE(found([](LogRecordHeader* h) { h->durable_through = {kNumber + 1, 64}; }));
}

TEST_F(LogTest, FalseHeadersBetweenRecordsEndTheWalkThroughTheWholeFile) {
  constexpr int64_t kCapacity = 1 << 20;
  auto writer = StartSegment(kCapacity);
  for (int64_t offset = kLogHeaderBytes; offset + 65 * 64 < kCapacity; offset += 65 * 64) {
    // One record, and 64 headers whose payloads reach to the end of the file, too few for one call
    // of FindAfter to notice.
    const LogPosition end = Append(writer.get(), 1, "");
    ASSERT_EQ(end.offset, static_cast<uint64_t>(offset + 64));
    Append(writer.get(), 2, std::string(63 * 64, '\0'));
    for (int64_t at = offset + 64; at < offset + 65 * 64; at += 64) {
      PutFalseHeader(at, kCapacity - at - 64);
    }
  }
  auto reader = Must(OpenSegment());
  auto record = Must(reader->FindAfter(0));
  while (record != nullptr) record = Must(reader->FindAfter(record->end.offset));
  EXPECT_TRUE(reader->gave_up());
}

TEST_F(LogTest, RandomBytesHoldNoRecord) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 50; ++round) {
    if (round > 0) ASSERT_STATUS_OK(fs_.Remove(kPath));
    auto writer = StartSegment(64 * 64);
    std::string bytes(63 * 64, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    // Plausible kinds and short lengths, so that the checksum is what decides.
    for (size_t at = 0; at < bytes.size(); at += 64) {
      StoreLittle(bytes.data() + at, random() % 200);
      StoreLittle(bytes.data() + at + 8, 1 + random() % 3);
      StoreLittle(bytes.data() + at + 56, uint64_t{0});
    }
    ASSERT_STATUS_OK(fs_.Overwrite(kPath, 64, bytes));
    auto reader = Must(OpenSegment());
    EXPECT_EQ(Must(reader->Next()), nullptr);
    EXPECT_EQ(Must(reader->FindAfter(0)), nullptr);
  }
}

TEST_F(LogTest, AFailedAppendIsOverwrittenByTheNext) {
  auto writer = StartSegment(4096);
  const LogPosition first = Append(writer.get(), 0, "first");
  fs_.FailNth(FileOp::kWrite, 1, ENOSPC);
  const std::string lost = Pattern(500);
  const std::string_view part = lost;
  const auto failed = writer->Append(RecordHeader(1), {&part, 1}, WriteVia::kMapping);
  EXPECT_EQ(arrow::internal::ErrnoFromStatus(failed.status()), ENOSPC);
  EXPECT_EQ(writer->position(), first);
  Append(writer.get(), 2, "second");
  auto reader = Must(OpenSegment());
  EXPECT_EQ(Must(reader->Next())->payload->ToString(), "first");
  EXPECT_EQ(Must(reader->Next())->payload->ToString(), "second");
  EXPECT_EQ(Must(reader->Next()), nullptr);
}

TEST_F(LogTest, SyncedRecordsSurvivePowerLossAndTornTailsGiveAPrefix) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    MemoryFileSystem fs;
    auto writer = Must(SegmentWriter::Start(Must(fs.CreateSegment(kPath, 1 << 20)),
                                            HeaderOf(LogFileKind::kSegment, kNumber)));
    for (uint64_t i = 0; i < 50; ++i) Append(writer.get(), i, Pattern(100 + i));
    ASSERT_STATUS_OK(writer->Sync());
    ASSERT_STATUS_OK(fs.SyncDirectory("/"));
    for (uint64_t i = 50; i < 150; ++i) Append(writer.get(), i, Pattern(100 + i));
    fs.LoseUnsynced(LossPolicy::kTorn, seed);
    auto reader = Must(LogReader::Open(Must(fs.OpenReadable(kPath)), kPath, LogFileKind::kSegment,
                                       nullptr, kNumber));
    uint64_t records = 0;
    while (const auto record = Must(reader->Next())) {
      ASSERT_EQ(record->header.first_sequence, 1000 + records);
      ASSERT_EQ(record->payload->ToString(), Pattern(100 + records));
      ++records;
    }
    EXPECT_GE(records, 50u);
  }
}

TEST_F(LogTest, AnIOErrorIsNotTakenForTheEnd) {
  // More than one piece, so that it is read several times; the second record is damaged.
  auto writer = StartSegment(8 << 20);
  for (const size_t size : {2'000'000, 100, 3'000'000, 100})
    Append(writer.get(), size, Pattern(size));
  ASSERT_STATUS_OK(fs_.Damage(kPath, 64 + 64 + 2'000'000 + 64 + 70, 1));
  const auto read = [this]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(const auto reader, OpenSegment());
    ARROW_ASSIGN_OR_RAISE(auto record, reader->Next());
    if (record == nullptr) return arrow::Status::Invalid("the first record is not there");
    ARROW_ASSIGN_OR_RAISE(record, reader->Next());
    if (record != nullptr) return arrow::Status::Invalid("the second record is there");
    const uint64_t stopped = reader->stopped_at().offset;
    ARROW_ASSIGN_OR_RAISE(record, reader->FindAfter(stopped + 1));
    if (record == nullptr) return arrow::Status::Invalid("the third record is not there");
    ARROW_ASSIGN_OR_RAISE(record, reader->FindAfter(record->end.offset));
    if (record == nullptr) return arrow::Status::Invalid("the fourth record is not there");
    ARROW_ASSIGN_OR_RAISE(const int64_t torn, reader->TornBytes(stopped, 1000));
    return torn == 192 ? arrow::Status::OK() : arrow::Status::Invalid(torn, " bytes are torn");
  };
  ASSERT_STATUS_OK(read());
  uint64_t n = 1;
  for (;; ++n) {
    fs_.FailNth(FileOp::kRead, n, EIO);
    const arrow::Status status = read();
    if (status.ok()) break;
    EXPECT_EQ(arrow::internal::ErrnoFromStatus(status), EIO) << n << ": " << status.ToString();
  }
  EXPECT_GE(n, 6u);
}

/// A file whose bytes are read to addresses that are no multiple of anything.
class UnalignedFile final : public ReadableFile {
 public:
  explicit UnalignedFile(std::shared_ptr<ReadableFile> file) : file_(std::move(file)) {}
  int64_t size() const override { return file_->size(); }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t offset, int64_t length) override {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bytes, arrow::AllocateBuffer(length + 1));
    ARROW_RETURN_NOT_OK(file_->ReadInto(offset, length, bytes->mutable_data() + 1));
    return arrow::SliceBuffer(bytes, 1, length);
  }
  arrow::Status ReadInto(int64_t offset, int64_t length, void* out) override {
    return file_->ReadInto(offset, length, out);
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Map() override { return file_->Map(); }

 private:
  const std::shared_ptr<ReadableFile> file_;
};

TEST_F(LogTest, PayloadsAreAlignedWhereverAFileSystemReadsTo) {
  WriteThree();
  auto file = std::make_shared<UnalignedFile>(Must(fs_.OpenReadable(kPath)));
  auto reader = Must(LogReader::Open(file, kPath, LogFileKind::kSegment, nullptr, kNumber));
  for (const size_t size : {10, 100, 70}) {
    const auto record = Must(reader->Next());
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(record->payload->address() % kLogAlignment, 0u);
    EXPECT_EQ(record->payload->ToString(), Pattern(size));
  }
}

TEST_F(LogTest, ASegmentWithoutRoomForAHeaderIsRefused) {
  auto file = Must(fs_.CreateSegment(kPath, kLogHeaderBytes - 1));
  const arrow::Status status =
      SegmentWriter::Start(std::move(file), HeaderOf(LogFileKind::kSegment, kNumber)).status();
  EXPECT_THAT(status.message(), HasSubstr("no room for its header"));
}

TEST_F(LogTest, AManifestComesBackWithItsEnd) {
  auto writer = Must(
      ManifestWriter::Start(Must(fs_.CreateWritable(kPath)), HeaderOf(LogFileKind::kManifest, 7)));
  EXPECT_EQ(writer->number(), 7u);
  ASSERT_STATUS_OK(fs_.SyncDirectory("/"));
  std::vector<std::string> payloads = {Pattern(10), "", Pattern(100000), Pattern(64)};
  LogRecordHeader header;
  header.kind = LogRecordKind::kEdit;
  for (const std::string& payload : payloads) {
    ASSERT_STATUS_OK(writer->AppendAndSync(header, payload));
  }
  header.kind = LogRecordKind::kCleanEnd;
  ASSERT_STATUS_OK(writer->AppendAndSync(header, ""));
  EXPECT_EQ(writer->bytes(), Must(fs_.FileSize(kPath)));
  fs_.LoseUnsynced(LossPolicy::kDropAll, 1);  // every record was synced
  auto reader = Must(
      LogReader::Open(Must(fs_.OpenReadable(kPath)), kPath, LogFileKind::kManifest, nullptr, 7));
  for (const std::string& payload : payloads) {
    const auto record = Must(reader->Next());
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(record->header.kind, LogRecordKind::kEdit);
    EXPECT_EQ(record->payload->ToString(), payload);
  }
  EXPECT_EQ(Must(reader->Next())->header.kind, LogRecordKind::kCleanEnd);
  EXPECT_EQ(Must(reader->Next()), nullptr);
  EXPECT_EQ(static_cast<int64_t>(reader->stopped_at().offset), Must(fs_.FileSize(kPath)));
}

TEST_F(LogTest, AFileOfAnotherKindDatabaseOrNumberIsCorruption) {
  WriteThree();
  const auto open = [&](LogFileKind kind, const Uuid& uuid, uint64_t number) {
    return LogReader::Open(Must(fs_.OpenReadable(kPath)), kPath, kind, &uuid, number).status();
  };
  EXPECT_TRUE(open(LogFileKind::kSegment, TestUuid(), kNumber).ok());
  EXPECT_TRUE(IsCorruption(open(LogFileKind::kManifest, TestUuid(), kNumber)));
  EXPECT_TRUE(IsCorruption(open(LogFileKind::kSegment, TestUuid(), kNumber + 1)));
  const arrow::Status status = open(LogFileKind::kSegment, Uuid{}, kNumber);
  EXPECT_TRUE(IsCorruption(status));
  EXPECT_THAT(status.message(), HasSubstr(ToHex(TestUuid())));
}

}  // namespace
}  // namespace marble

// Where a log ends and when that is damage, on segments made for the purpose; and what an open says
// of records that verify and mean nothing.
#include "db/log_recovery.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <marble/error.h>
#include <marble/verify.h>

#include "db/commit_record.h"
#include "io/memory_file_system.h"
#include "log/log_writer.h"
#include "support/test_database.h"
#include "tree/file_names.h"
#include "tree/table_schemas.h"
#include "unit/io/io_test_support.h"

namespace marble {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSegmentBytes = 64 * 1024;

/// Writes segment `number` behind `predecessor`, in place of any that is there.
std::unique_ptr<SegmentWriter> StartSegment(FileSystem* fs, const Uuid& uuid, uint64_t number,
                                            uint64_t predecessor) {
  const std::string path = LogSegmentPath("/db", number);
  if (*fs->Exists(path)) EXPECT_TRUE(fs->Remove(path).ok());
  auto file = fs->CreateSegment(path, kSegmentBytes);
  EXPECT_TRUE(file.ok()) << file.status().ToString();
  LogFileHeader header;
  header.uuid = uuid;
  header.number = number;
  header.predecessor = predecessor;
  auto writer = SegmentWriter::Start(*std::move(file), header);
  EXPECT_TRUE(writer.ok()) << writer.status().ToString();
  return *std::move(writer);
}

void Append(SegmentWriter* writer, const LogRecordHeader& header,
            const std::vector<std::string_view>& parts) {
  const auto end = writer->Append(header, parts, WriteVia::kSystemCall);
  EXPECT_TRUE(end.ok()) << end.status().ToString();
}

class LogRecoveryTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(fs_.CreateDirectory("/db"));
    ASSERT_OK(fs_.CreateDirectory("/db/wal"));
    state_.uuid = RandomUuid();
    state_.log_start = 1;
    state_.log_first_sequence = 1;
  }

  /// A segment of records of one operation each with these sequence numbers. Each says that the log
  /// was synced up to `durable`.
  void Segment(uint64_t number, uint64_t predecessor, const std::vector<uint64_t>& sequences,
               LogPosition durable = {}) {
    const auto writer = StartSegment(&fs_, state_.uuid, number, predecessor);
    for (uint64_t sequence : sequences) {
      Append(writer.get(), {LogRecordKind::kCommit, 0, sequence, 1, durable}, {"payload"});
    }
  }
  void AppendTo(uint64_t number, const std::vector<LogRecordHeader>& headers) {
    const auto writer = StartSegment(&fs_, state_.uuid, number, number - 1);
    for (const LogRecordHeader& header : headers) Append(writer.get(), header, {"payload"});
  }
  arrow::Result<LogRecoveryResult> Recover() {
    seen_.clear();
    return RecoverLog(&fs_, "/db", state_, [this](const LogRecord& record) {
      seen_.push_back(record.header.first_sequence);
      return arrow::Status::OK();
    });
  }
  /// The sequence numbers of what is replayed.
  std::vector<uint64_t> Replayed() {
    const auto recovered = Recover();
    EXPECT_TRUE(recovered.ok()) << recovered.status().ToString();
    return seen_;
  }

  MemoryFileSystem fs_;
  ManifestState state_;
  std::vector<uint64_t> seen_;
};

using Sequences = std::vector<uint64_t>;

TEST_F(LogRecoveryTest, SegmentsWithoutARecordMayLieBetween) {
  Segment(1, 0, {1, 2});
  Segment(2, 1, {});
  Segment(3, 2, {3});
  EXPECT_EQ(Replayed(), (Sequences{1, 2, 3}));
}

TEST_F(LogRecoveryTest, TheFirstSegmentsMayBeThoseWithoutARecord) {
  Segment(1, 0, {});
  Segment(2, 1, {});
  Segment(3, 2, {1, 2});
  EXPECT_EQ(Replayed(), (Sequences{1, 2}));
  // Of a manifest that does not say where the log begins it is not known that nothing is missing.
  state_.log_first_sequence = 0;
  EXPECT_EQ(Replayed(), Sequences{});
}

TEST_F(LogRecoveryTest, WithoutAFirstSequenceInTheManifestAnyRecordMayBeTheFirst) {
  Segment(1, 0, {7, 8, 10});
  EXPECT_EQ(Replayed(), Sequences{});
  state_.log_first_sequence = 0;
  EXPECT_EQ(Replayed(), (Sequences{7, 8}));
}

TEST_F(LogRecoveryTest, ASegmentBehindAnotherThanTheLastDoesNotContinueTheLog) {
  Segment(1, 0, {1});
  Segment(3, 2, {2});
  EXPECT_EQ(Replayed(), Sequences{1});
}

TEST_F(LogRecoveryTest, ASegmentWithADamagedHeaderEndsTheLog) {
  Segment(1, 0, {1});
  Segment(2, 1, {2});
  Segment(3, 2, {3});
  ASSERT_OK(fs_.Damage(LogSegmentPath("/db", 2), 3, 1));
  EXPECT_EQ(Replayed(), Sequences{1});
  // The third segment says that the second was synced.
  Segment(3, 2, {3}, {2, 192});
  const arrow::Status status = Recover().status();
  ASSERT_TRUE(IsCorruption(status)) << status.ToString();
  EXPECT_EQ(DetailOf(status)->file(), LogSegmentPath("/db", 2));
}

TEST_F(LogRecoveryTest, ADamagedHeaderOfTheFirstSegmentIsReported) {
  Segment(1, 0, {1});
  ASSERT_OK(fs_.Damage(LogSegmentPath("/db", 1), 3, 1));
  const arrow::Status status = Recover().status();
  ASSERT_TRUE(IsCorruption(status)) << status.ToString();
  EXPECT_EQ(DetailOf(status)->file(), LogSegmentPath("/db", 1));
}

TEST_F(LogRecoveryTest, ARecordOfAnotherKindEndsTheLog) {
  const auto commit = [](uint64_t sequence) {
    return LogRecordHeader{LogRecordKind::kCommit, 0, sequence, 1, {}};
  };
  AppendTo(1, {commit(1), {LogRecordKind::kEdit, 0, 2, 1, {}}, commit(2)});
  EXPECT_EQ(Replayed(), Sequences{1});
  AppendTo(1, {commit(1),
               {LogRecordKind::kEdit, 0, 2, 1, {}},
               {LogRecordKind::kCommit, 0, 2, 1, {1, 320}}});
  EXPECT_TRUE(IsCorruption(Recover().status()));
}

TEST_F(LogRecoveryTest, AnErrorOfTheDiskIsNotTakenForTheEndOfTheLog) {
  Segment(1, 0, {1, 2});
  Segment(2, 1, {});
  Segment(3, 2, {3, 5});  // cut here; what lies behind is looked at
  Segment(4, 3, {6});
  const uint64_t before = fs_.operations(FileOp::kAny);
  EXPECT_EQ(Replayed(), (Sequences{1, 2, 3}));
  const uint64_t operations = fs_.operations(FileOp::kAny) - before;
  for (uint64_t n = 1; n <= operations; ++n) {
    fs_.FailNth(FileOp::kAny, n, EIO);
    const arrow::Status status = Recover().status();
    // Files that cannot be mapped are read: only that is no error.
    if (status.ok()) {
      EXPECT_EQ(seen_, (Sequences{1, 2, 3})) << "operation " << n;
    } else {
      EXPECT_EQ(ErrnoOf(status), EIO) << "operation " << n << ": " << status.ToString();
    }
    fs_.ClearFaults();
  }
}

/// The log of a process that died has one more segment, with a record that verifies.
class HostileLogTest : public testing::Test {
 protected:
  static constexpr uint32_t kPairs = 1;  // `default`
  static constexpr uint32_t kRows = 2;

  void SetUp() override {
    auto database = Database::Open("/db", OnDisk());
    ASSERT_OK(database);
    ASSERT_OK(
        (*database)->CreateTable("rows", arrow::schema({arrow::field("id", arrow::int64())}), {}));
    fs_.FailNth(FileOp::kChange, 1, arrow::Status::IOError("the process is dead"), true);
    (void)(*database)->Close();
    database->reset();
    fs_.LoseUnsynced(LossPolicy::kKeepAll, 1);
    fs_.ClearFaults();
    auto loaded = Manifest::Load(&fs_, "/db");
    ASSERT_OK(loaded);
    auto log = RecoverLog(&fs_, "/db", loaded->state,
                          [](const LogRecord&) { return arrow::Status::OK(); });
    ASSERT_OK(log);
    sequence_ = log->last_sequence + 1;
    segment_ = log->highest_segment + 1;
    uuid_ = loaded->state.uuid;
  }
  Options OnDisk() {
    Options options;
    options.file_system = &fs_;
    options.log_segment_bytes = kSegmentBytes;
    return options;
  }
  /// A synced SSTable, as far as its size goes.
  FileMeta File(uint64_t number, uint64_t bytes) {
    FileMeta meta;
    meta.number = number;
    meta.size = bytes;
    meta.constant_sequence = sequence_;
    return meta;
  }
  void Create(const FileMeta& meta) {
    WriteFile(&fs_, SstPath("/db", meta.number), std::string(meta.size, 'x'));
  }
  std::string segment_path() const { return LogSegmentPath("/db", segment_); }

  /// What an open says of a log that goes on with these operations; a verification says the same.
  arrow::Status OpenWith(const std::function<void(CommitRecordBuilder*)>& add) {
    CommitRecordBuilder record;
    add(&record);
    const auto writer = StartSegment(&fs_, uuid_, segment_, segment_ - 1);
    Append(writer.get(), {LogRecordKind::kCommit, 0, sequence_, record.count(), {}},
           record.Parts());
    VerifyOptions options;
    options.file_system = &fs_;
    ARROW_ASSIGN_OR_RAISE(verified_, VerifyDatabase("/db", options));
    const arrow::Status opened = Database::Open("/db", OnDisk()).status();
    EXPECT_EQ(verified_.ok(), opened.ok()) << verified_.ToText();
    return opened;
  }
  void ExpectDamage(const char* text, const std::function<void(CommitRecordBuilder*)>& add) {
    const arrow::Status status = OpenWith(add);
    ASSERT_TRUE(IsCorruption(status)) << text << ": " << status.ToString();
    EXPECT_THAT(status.message(), HasSubstr(text));
    EXPECT_EQ(DetailOf(status)->file(), segment_path()) << status.ToString();
    EXPECT_EQ(DetailOf(status)->offset(), kLogHeaderBytes) << status.ToString();
    EXPECT_TRUE(std::ranges::any_of(verified_.findings, [&](const Finding& finding) {
      return finding.file == segment_path() && finding.offset == kLogHeaderBytes;
    })) << verified_.ToText();
  }

  MemoryFileSystem fs_;
  Uuid uuid_{};
  uint64_t sequence_ = 0;
  uint64_t segment_ = 0;
  VerifyReport verified_;
};

TEST_F(HostileLogTest, WhatIsSoundIsReplayed) {
  ASSERT_OK(OpenWith([](CommitRecordBuilder* record) { record->AddPut(kPairs, "key", "value"); }));
  EXPECT_EQ(Manifest::Load(&fs_, "/db").ValueOrDie().state.last_sequence, sequence_);
}

TEST_F(HostileLogTest, AnOperationOnAnUnknownTableIsReportedWithItsPlace) {
  ExpectDamage("unknown table 99",
               [](CommitRecordBuilder* record) { record->AddPut(99, "key", "value"); });
}

TEST_F(HostileLogTest, AnOperationThatDoesNotFitItsTableIsReportedWithItsPlace) {
  ExpectDamage("point write to a table of rows",
               [](CommitRecordBuilder* record) { record->AddPut(kRows, "key", "value"); });
  ExpectDamage("", [](CommitRecordBuilder* record) {
    record->AddRows(OperationKind::kInsertRows, kRows, 0, {arrow::Buffer::FromString("no batch")});
  });
  ExpectDamage("delete by key in a table without one", [](CommitRecordBuilder* record) {
    record->AddRows(OperationKind::kDeleteRows, kRows, 0, {arrow::Buffer::FromString("no batch")});
  });
  ExpectDamage("delete by key in a table without one", [](CommitRecordBuilder* record) {
    record->AddDeleteRange(kRows, "a", "", /*unbounded=*/true);
  });
}

TEST_F(HostileLogTest, RowsWhoseKeysDoNotAscendAreReportedWithTheirPlace) {
  const auto schemas = TableSchemas::Make(DefaultTableRecord().ValueOrDie());
  ASSERT_OK(schemas);
  const auto& schema = schemas->current()->stored_schema();
  for (const char* keys : {R"(["b", "a"])", R"(["a", "a"])"}) {
    auto batch = test::BatchFromJson(schema, {keys, R"(["1", "2"])"});
    ASSERT_OK(batch);
    auto message = SerializeBatch(**batch, arrow::default_memory_pool());
    ASSERT_OK(message);
    ExpectDamage("do not ascend", [&](CommitRecordBuilder* record) {
      record->AddRows(OperationKind::kInsertRows, kPairs, 0, *message);
    });
  }
}

TEST_F(HostileLogTest, ATableThatCannotBeIsReportedWithItsPlace) {
  ExpectDamage("", [](CommitRecordBuilder* record) {
    TableRecord table;
    table.id = 3;
    table.name = "t";
    table.schema.schema = "no schema";
    record->AddCreate(table);
  });
}

TEST_F(HostileLogTest, AnAttachedFileThatContradictsTheLogIsReported) {
  FileMeta meta = File(900, 100);
  const auto attach = [&](CommitRecordBuilder* record) { record->AddAttach(kRows, 0, {meta}); };
  arrow::Status status = OpenWith(attach);
  EXPECT_TRUE(IsCorruption(status)) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr("the log names this file, but it is missing"));
  EXPECT_EQ(DetailOf(status)->file(), SstPath("/db", 900));
  Create(meta);
  meta.size = 200;
  status = OpenWith(attach);
  EXPECT_TRUE(IsCorruption(status)) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr("the log says that this file has 200 bytes"));
  EXPECT_EQ(DetailOf(status)->file(), SstPath("/db", 900));
  meta.size = 100;
  meta.constant_sequence = sequence_ + 1;
  ExpectDamage("attached file 900 has another sequence", attach);
  meta.schema_version = 5;
  ExpectDamage("attached file 900 has the unknown schema 5", attach);
  for (const Finding& finding : verified_.findings) {
    EXPECT_NE(finding.kind, FindingKind::kStray) << "the log names it: " << finding.file;
  }
}

TEST_F(HostileLogTest, RowsThatAreCutShortAreReportedWithTheirPlace) {
  const auto schemas = TableSchemas::Make(DefaultTableRecord().ValueOrDie());
  ASSERT_OK(schemas);
  const auto batch =
      test::BatchFromJson(schemas->current()->stored_schema(), {R"(["a", "b"])", R"(["1", "2"])"});
  ASSERT_OK(batch);
  auto message = SerializeBatch(**batch, arrow::default_memory_pool());
  ASSERT_OK(message);
  message->pop_back();
  ExpectDamage("", [&](CommitRecordBuilder* record) {
    record->AddRows(OperationKind::kInsertRows, kPairs, 0, *message);
  });
}

}  // namespace
}  // namespace marble

#include "db/commit_record.h"

#include <gtest/gtest.h>

namespace marble {
namespace {

std::shared_ptr<arrow::Buffer> Join(CommitRecordBuilder* builder) {
  std::string bytes;
  for (std::string_view part : builder->Parts()) bytes.append(part);
  EXPECT_EQ(bytes.size(), builder->payload_bytes());
  return arrow::Buffer::FromString(std::move(bytes));
}

std::vector<LoggedOperation> ReadAll(const std::shared_ptr<arrow::Buffer>& payload,
                                     uint64_t count) {
  std::vector<LoggedOperation> operations;
  arrow::Status status = ReadCommitRecord(payload, count, [&](const LoggedOperation& op) {
    operations.push_back(op);
    return arrow::Status::OK();
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
  return operations;
}

void AddOneOfEach(CommitRecordBuilder* builder, const std::string& big) {
  builder->AddPut(1, "key", "value");
  builder->AddPut(2, "", "");
  builder->AddPut(1, "big", big);
  builder->AddDelete(1, "gone");
  builder->AddDeleteRange(1, "a", "b", false);
  builder->AddDeleteRange(1, "c", "", true);
  builder->AddRows(
      OperationKind::kInsertRows, 3, 17,
      {arrow::Buffer::FromString("not really "), arrow::Buffer::FromString("a batch")});
  FileMeta meta;
  meta.number = 9;
  meta.smallest = "s";
  builder->AddAttach(3, 5, {meta});
  TableRecord record;
  record.id = 4;
  record.name = "t";
  builder->AddCreate(record);
  builder->AddDrop(2);
}

TEST(CommitRecordTest, ReadsBackEveryKindOfOperation) {
  const std::string big(10000, 'x');
  CommitRecordBuilder builder;
  AddOneOfEach(&builder, big);
  auto payload = Join(&builder);
  const auto operations = ReadAll(payload, builder.count());
  ASSERT_EQ(operations.size(), 10u);
  EXPECT_EQ(operations[0].key, "key");
  EXPECT_EQ(operations[0].value, "value");
  EXPECT_EQ(operations[1].value, "");
  EXPECT_EQ(operations[2].value, big);
  EXPECT_EQ(operations[3].key, "gone");
  EXPECT_EQ(operations[4].value, "b");
  EXPECT_TRUE(operations[5].end_unbounded);
  EXPECT_EQ(std::string_view(*operations[6].message), "not really a batch");
  EXPECT_EQ(operations[6].first_row_id, 17u);
  EXPECT_EQ(operations[7].files[0].number, 9u);
  EXPECT_EQ(operations[8].record.name, "t");
  EXPECT_EQ(operations[9].kind, OperationKind::kDropTable);
}

TEST(CommitRecordTest, RecordBatchMessagesStartAtMultiplesOf64) {
  CommitRecordBuilder builder;
  builder.AddPut(1, "odd", "sized");
  builder.AddRows(OperationKind::kInsertRows, 3, 0, {arrow::Buffer::FromString("message")});
  auto payload = Join(&builder);
  const auto operations = ReadAll(payload, builder.count());
  EXPECT_EQ((operations[1].message->data() - payload->data()) % 64, 0);
}

TEST(CommitRecordTest, ClearForgetsWhatWasAdded) {
  CommitRecordBuilder builder;
  builder.AddPut(1, "a", "b");
  builder.Clear();
  builder.AddDelete(1, "c");
  EXPECT_EQ(builder.count(), 1u);
  EXPECT_EQ(ReadAll(Join(&builder), 1)[0].key, "c");
}

TEST(CommitRecordTest, RefusesEveryTruncation) {
  CommitRecordBuilder builder;
  AddOneOfEach(&builder, "value");
  auto payload = Join(&builder);
  for (int64_t length = 0; length < payload->size(); ++length) {
    arrow::Status status =
        ReadCommitRecord(arrow::SliceBuffer(payload, 0, length), builder.count(),
                         [](const LoggedOperation&) { return arrow::Status::OK(); });
    EXPECT_FALSE(status.ok()) << length;
  }
}

TEST(CommitRecordTest, SurvivesEveryFlippedByte) {
  CommitRecordBuilder builder;
  AddOneOfEach(&builder, "value");
  const std::string bytes = Join(&builder)->ToString();
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x9d);
    int64_t touched = 0;
    auto visit = [&](const LoggedOperation& op) {
      for (char c : op.key) touched += c;
      for (char c : op.value) touched += c;
      return arrow::Status::OK();
    };
    // Either answer is fine (the checksum is another's business), but nothing may be read out of
    // bounds.
    arrow::Status ignored =
        ReadCommitRecord(arrow::Buffer::FromString(damaged), builder.count(), visit);
    EXPECT_TRUE(ignored.ok() || !ignored.message().empty());
  }
}

}  // namespace
}  // namespace marble

// Tests of what fits a table, and of rows whose bytes are not what they should be.
#include "db/logged_operation.h"

#include <string>

#include <arrow/io/memory.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/compression.h>
#include <gtest/gtest.h>

#include "base/coding.h"
#include "support/test_database.h"
#include "tree/table_schemas.h"

namespace marble {
namespace {

class LoggedRowsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(TableSchemas::Make(DefaultTableRecord().ValueOrDie()).Value(&schemas_));
    ASSERT_OK(test::BatchFromJson(schema().stored_schema(),
                                  {R"(["a", "b", "c"])", R"(["first", null, "third"])"})
                  .Value(&batch_));
  }
  const StoredSchema& schema() const { return *schemas_.current(); }
  std::string Message() const {
    std::string message;
    for (const auto& piece : SerializeBatch(*batch_, arrow::default_memory_pool()).ValueOrDie()) {
      message += piece->ToString();
    }
    return message;
  }
  arrow::Result<SortedRows> Rows(const std::string& message) const {
    LoggedOperation op;
    op.kind = OperationKind::kInsertRows;
    op.message = arrow::Buffer::FromString(message);
    return LoggedRows(op, schema());
  }

  TableSchemas schemas_;
  std::shared_ptr<arrow::RecordBatch> batch_;
};

TEST_F(LoggedRowsTest, ComeBackWithTheirKeys) {
  const auto rows = Rows(Message());
  ASSERT_OK(rows);
  EXPECT_TRUE(rows->columns->Equals(*batch_));
  ASSERT_EQ(rows->keys.size(), 3);
  EXPECT_EQ(rows->keys[1], "b");
}

TEST_F(LoggedRowsTest, OfBytesThatWereChangedAreOthersOrInvalid) {
  const std::string good = Message();
  int refused = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char mask : {'\x01', '\x40', '\xff'}) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ mask);
      const arrow::Status status = Rows(bytes).status();
      // A failing device would be an IOError, and these bytes come from none.
      EXPECT_TRUE(status.ok() || status.IsInvalid()) << at << ": " << status.ToString();
      refused += status.ok() ? 0 : 1;
    }
  }
  EXPECT_GT(refused, 100);
}

TEST_F(LoggedRowsTest, ThatAreCutShortAreInvalid) {
  const std::string good = Message();
  for (size_t length = 0; length + 64 < good.size(); ++length) {
    const arrow::Status status = Rows(good.substr(0, length)).status();
    EXPECT_TRUE(status.IsInvalid()) << length << ": " << status.ToString();
  }
}

TEST_F(LoggedRowsTest, AskForNoMoreMemoryThanTheirBytesCouldHold) {
  arrow::ipc::IpcWriteOptions options = arrow::ipc::IpcWriteOptions::Defaults();
  options.codec = arrow::util::Codec::Create(arrow::Compression::ZSTD).ValueOrDie();
  auto serialized = arrow::ipc::SerializeRecordBatch(*batch_, options);
  ASSERT_OK(serialized);
  std::string bytes = (*serialized)->ToString();
  ASSERT_OK(Rows(bytes));
  // In front of each compressed buffer stands the length of its content.
  const size_t body = 8 + LoadLittle<uint32_t>(&bytes[4]);
  StoreLittle<uint64_t>(&bytes[body], uint64_t{1} << 60);
  EXPECT_TRUE(Rows(bytes).status().IsInvalid()) << Rows(bytes).status().ToString();
}

}  // namespace
}  // namespace marble

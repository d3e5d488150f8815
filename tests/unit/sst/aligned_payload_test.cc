// Record batch messages are rewritten as Arrow made them, or not at all: another version of Arrow
// may lay them out differently, and a wrong offset in a file would be lost data.
#include "sst/aligned_payload.h"

#include <functional>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/ipc/api.h>
#include <gtest/gtest.h>

#include "sst/flat_message.h"
#include "unit/sst/sst_test_util.h"

namespace marble {
namespace {

using arrow::ipc::IpcPayload;
using sst_test::FromJson;

std::shared_ptr<arrow::RecordBatch> Batch(const arrow::ArrayVector& columns) {
  arrow::FieldVector fields;
  for (const auto& column : columns) fields.push_back(arrow::field("c", column->type()));
  return arrow::RecordBatch::Make(arrow::schema(fields), columns[0]->length(), columns);
}

IpcPayload PayloadOf(const arrow::RecordBatch& batch) {
  IpcPayload payload;
  EXPECT_TRUE(
      arrow::ipc::GetRecordBatchPayload(batch, arrow::ipc::IpcWriteOptions::Defaults(), &payload)
          .ok());
  return payload;
}

std::shared_ptr<arrow::RecordBatch> SomeBatch() {
  return Batch({FromJson(arrow::int32(), "[1, 2, 3]"),
                FromJson(arrow::utf8(), R"(["a", null, "more than eight bytes"])")});
}

/// Where a message says where its body's buffers are.
size_t BuffersOf(const FlatMessage& message) {
  const size_t header = message.Child(message.Field(message.Root(), kMessageHeader));
  return message.Child(message.Field(header, kRecordBatchBuffers));
}

TEST(AlignPayload, BuffersBeginAtMultiplesOf64AndKeepTheirLengths) {
  const IpcPayload before = PayloadOf(*SomeBatch());
  IpcPayload payload = before;
  SST_ASSERT_OK(AlignPayload(&payload));
  EXPECT_EQ(payload.body_length % 64, 0);
  const std::string old_bytes = before.metadata->ToString();
  const std::string bytes = payload.metadata->ToString();
  ASSERT_EQ(bytes.size(), old_bytes.size());
  const FlatMessage message(bytes);
  const size_t at = BuffersOf(message) + 4;
  for (size_t i = 0; i < before.body_buffers.size(); ++i) {
    const size_t pair = at + i * kFlatPairBytes;
    EXPECT_EQ(message.Load<int64_t>(pair) % 64, 0) << i;
    EXPECT_EQ(message.Load<int64_t>(pair + 8), FlatMessage(old_bytes).Load<int64_t>(pair + 8)) << i;
  }
}

TEST(AlignPayload, ABodyThatIsAlignedIsLeftAsItIs) {
  const auto column = FromJson(arrow::int64(), "[1, 2, 3, 4, 5, 6, 7, 8]");
  for (const auto& batch : {Batch({column, column}), Batch({FromJson(arrow::null(), "[null]")})}) {
    const IpcPayload before = PayloadOf(*batch);
    IpcPayload payload = before;
    SST_ASSERT_OK(AlignPayload(&payload));
    EXPECT_EQ(payload.body_length, before.body_length);
    EXPECT_TRUE(payload.metadata->Equals(*before.metadata));
  }
}

TEST(AlignPayload, ABufferThatIsNotThereIsAnEmptyOne) {
  IpcPayload payload = PayloadOf(*SomeBatch());
  ASSERT_EQ(payload.body_buffers[0]->size(), 0);
  payload.body_buffers[0] = nullptr;
  SST_ASSERT_OK(AlignPayload(&payload));
  EXPECT_EQ(payload.body_length % 64, 0);
}

TEST(AlignPayload, AMessageThatIsNotWhatItsBuffersSayIsRefused) {
  const auto refused = [](const std::function<void(IpcPayload*, std::string*)>& change) {
    IpcPayload payload = PayloadOf(*SomeBatch());
    std::string bytes = payload.metadata->ToString();
    change(&payload, &bytes);
    payload.metadata = arrow::Buffer::FromString(bytes);
    return AlignPayload(&payload).IsUnknownError();
  };
  EXPECT_FALSE(refused([](IpcPayload*, std::string*) {}));
  EXPECT_TRUE(refused([](IpcPayload*, std::string* bytes) { bytes->clear(); }));
  EXPECT_TRUE(refused([](IpcPayload*, std::string* bytes) {  // another number of buffers
    StoreLittle<uint32_t>(bytes->data() + BuffersOf(FlatMessage(*bytes)), 4);
  }));
  for (size_t buffer = 0; buffer < 5; ++buffer) {  // another place of one
    EXPECT_TRUE(refused([buffer](IpcPayload*, std::string* bytes) {
      const size_t at = BuffersOf(FlatMessage(*bytes)) + 4 + buffer * kFlatPairBytes;
      StoreLittle<int64_t>(bytes->data() + at, LoadLittle<int64_t>(bytes->data() + at) + 8);
    })) << buffer;
  }
  EXPECT_TRUE(refused([](IpcPayload* payload, std::string*) { payload->body_length += 8; }));
  EXPECT_TRUE(refused([](IpcPayload*, std::string* bytes) {  // another length of the body
    const FlatMessage message(*bytes);
    const size_t at = message.Field(message.Root(), kMessageBodyLength);
    StoreLittle<int64_t>(bytes->data() + at, LoadLittle<int64_t>(bytes->data() + at) + 8);
  }));
}

}  // namespace
}  // namespace marble

// Tests of what compressed record batches may claim to hold.
#include "sst/body_compression.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <arrow/array.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/util/compression.h>
#include <gtest/gtest.h>

#include "base/coding.h"

namespace marble {
namespace {

struct WrittenMessage {
  std::string metadata;
  std::string body;

  arrow::Status Check() const {
    return CheckBodyClaims(metadata, {reinterpret_cast<const uint8_t*>(body.data()), body.size()})
        .status();
  }
};

/// A batch of one column, of `bytes` equal bytes in one buffer, as Arrow writes it.
WrittenMessage Write(arrow::Compression::type codec, int64_t bytes,
                     arrow::ipc::MetadataVersion version = arrow::ipc::MetadataVersion::V5) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.metadata_version = version;
  options.codec = arrow::util::Codec::Create(codec).ValueOrDie();
  const auto data = arrow::Buffer::FromString(std::string(static_cast<size_t>(bytes), 'x'));
  const auto column = std::make_shared<arrow::UInt8Array>(bytes, data);
  const auto schema = arrow::schema({arrow::field("a", arrow::uint8())});
  arrow::ipc::IpcPayload payload;
  const arrow::Status status = arrow::ipc::GetRecordBatchPayload(
      *arrow::RecordBatch::Make(schema, bytes, {column}), options, &payload);
  EXPECT_TRUE(status.ok()) << status.ToString();
  WrittenMessage out;
  out.metadata = payload.metadata->ToString();
  for (const auto& buffer : payload.body_buffers) {
    if (buffer == nullptr) continue;
    out.body += buffer->ToString();
    out.body.resize((out.body.size() + 7) / 8 * 8);
  }
  return out;
}

constexpr auto kCodecs = {arrow::Compression::UNCOMPRESSED, arrow::Compression::LZ4_FRAME,
                          arrow::Compression::ZSTD};

TEST(BodyCompression, WhatArrowWritesIsAcceptedHoweverWellItCompresses) {
  for (const auto codec : kCodecs) {
    for (const int64_t bytes : {0, 1, 100, 1000, 100000, 50000000}) {
      const arrow::Status status = Write(codec, bytes).Check();
      EXPECT_TRUE(status.ok()) << codec << " " << bytes << ": " << status.ToString();
    }
  }
}

TEST(BodyCompression, AClaimThatTheBytesCannotHoldIsRefused) {
  for (const auto codec : {arrow::Compression::LZ4_FRAME, arrow::Compression::ZSTD}) {
    for (const int64_t claim : {int64_t{-2}, INT64_MIN, int64_t{1} << 40, INT64_MAX}) {
      WrittenMessage message = Write(codec, 1000);
      StoreLittle<int64_t>(message.body.data(), claim);
      EXPECT_FALSE(message.Check().ok()) << codec << " " << claim;
    }
  }
}

TEST(BodyCompression, ABufferBeyondTheBodyIsRefused) {
  WrittenMessage message = Write(arrow::Compression::ZSTD, 1000);
  message.body.resize(8);
  EXPECT_FALSE(message.Check().ok());
}

TEST(BodyCompression, AMessageOfAnOlderVersionIsRefused) {
  const auto message = Write(arrow::Compression::LZ4_FRAME, 1000, arrow::ipc::MetadataVersion::V4);
  EXPECT_FALSE(message.Check().ok());
}

TEST(BodyCompression, AMessageThatIsNoRecordBatchIsRefused) {
  const auto schema = arrow::schema({arrow::field("a", arrow::uint8())});
  arrow::ipc::IpcPayload payload;
  const arrow::ipc::DictionaryFieldMapper no_dictionaries(*schema);
  ASSERT_TRUE(arrow::ipc::GetSchemaPayload(*schema, arrow::ipc::IpcWriteOptions::Defaults(),
                                           no_dictionaries, &payload)
                  .ok());
  EXPECT_FALSE(CheckBodyClaims(std::string_view(*payload.metadata), {}).ok());
}

TEST(BodyCompression, MetadataThatIsCutIsRefused) {
  const WrittenMessage good = Write(arrow::Compression::LZ4_FRAME, 1000);
  for (size_t length = 0; length < 24; ++length) {
    WrittenMessage cut = good;
    cut.metadata.resize(length);
    EXPECT_FALSE(cut.Check().ok()) << length;
  }
}

}  // namespace
}  // namespace marble

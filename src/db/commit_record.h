// The payload of a log record of kind kCommit: the operations of one commit (docs/formats.md).
//
//   per operation: kind u8, table id varint, then
//     put          key length varint, value length varint, key, value
//     delete       key length varint, key
//     delete range begin length varint, begin, unbounded u8, end length varint, end
//     insert rows, delete rows: first row id u64 (append tables, else 0), message length varint,
//     zero bytes to a
//                  multiple of 64 from the payload's start, the record batch as one Arrow IPC
//                  message
//     attach       first row id u64, file count varint, per file a length-prefixed file record
//     (version_edit.h) create       length-prefixed table record drop         nothing
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/result.h>

#include "db/operation.h"
#include "sst/file_meta.h"
#include "tree/version_edit.h"

namespace marble {

/// Collects operations into parts for the log writer. Small bytes are copied together, large ones
/// referenced until the record is written. Reusable: Clear keeps the memory, unless it is large.
class CommitRecordBuilder {
 public:
  void Clear();
  void AddPut(uint32_t table, std::string_view key, std::string_view value);
  void AddDelete(uint32_t table, std::string_view key);
  void AddDeleteRange(uint32_t table, std::string_view begin, std::string_view end, bool unbounded);
  /// `message` in pieces that follow each other.
  void AddRows(OperationKind kind, uint32_t table, uint64_t first_row_id,
               const arrow::BufferVector& message);
  void AddAttach(uint32_t table, uint64_t first_row_id, const std::vector<FileMeta>& files);
  void AddCreate(const TableRecord& record);
  void AddDrop(uint32_t table);

  /// Valid until the next change.
  const std::vector<std::string_view>& Parts();
  uint64_t payload_bytes() const { return copied_.size() + external_bytes_; }
  uint64_t count() const { return count_; }

 private:
  void Begin(OperationKind kind, uint32_t table);
  void AppendBytes(std::string_view bytes);

  /// Bytes that stand between copied ones, behind the first `offset` of these.
  struct External {
    size_t offset = 0;
    std::string_view bytes;
  };
  std::string copied_;
  std::vector<External> externals_;
  std::vector<std::string_view> parts_;
  uint64_t external_bytes_ = 0;
  uint64_t count_ = 0;
};

/// An operation as read from the log; views point into the payload.
struct LoggedOperation {
  OperationKind kind = OperationKind::kPut;
  uint32_t table = 0;
  std::string_view key;    // put, delete, delete range: begin
  std::string_view value;  // put: value; delete range: end
  bool end_unbounded = false;
  uint64_t first_row_id = 0;
  std::shared_ptr<arrow::Buffer> message;  // rows
  std::vector<FileMeta> files;             // attach
  TableRecord record;                      // create
};

/// Calls `visit` for each of the `count` operations in order. Invalid on bytes that are no commit.
arrow::Status ReadCommitRecord(const std::shared_ptr<arrow::Buffer>& payload, uint64_t count,
                               const std::function<arrow::Status(const LoggedOperation&)>& visit);

}  // namespace marble

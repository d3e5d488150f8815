// The stream that Arrow's IPC writer writes an SSTable through: collects bytes into large appends,
// computes the page checksums on the way and lengthens the schema message so that everything behind
// it is 64-byte aligned in the file. Owned by the writer; not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <marble/file_system.h>

namespace marble {

class SstSink : public arrow::io::OutputStream {
 public:
  explicit SstSink(WritableFile* file);

  // arrow::io::OutputStream. Close is a no-op: the file's owner closes it.
  using arrow::io::OutputStream::Write;
  arrow::Status Write(const void* data, int64_t bytes) override;
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Close() override { return arrow::Status::OK(); }
  bool closed() const override { return false; }

  int64_t position() const { return position_; }

  /// Arrow's magic and schema message have been written, and lengthened so that what follows is
  /// aligned.
  bool schema_written() const { return !in_schema_; }
  /// The next bytes written are an IPC message. MetadataLength() is then the length of its
  /// metadata, prefix and padding included.
  void BeginMessage() { prefix_.clear(); }
  int32_t MetadataLength() const;
  /// Zero bytes up to the next multiple of the section alignment.
  arrow::Status Align();
  /// Ends the part that page checksums cover and writes their section; what follows is the tail.
  /// Returns the section's offset.
  arrow::Result<int64_t> WritePageChecksums();
  /// Hands the last bytes to the file and returns the checksum of the tail.
  arrow::Result<uint64_t> Finish();

 private:
  /// Computes the checksums of the pages that are complete, or of all if it is `last`.
  void SealPages(bool last);
  arrow::Status FlushPages();
  /// Lengthens the schema message once it is complete.
  arrow::Status EndSchemaMessage();

  WritableFile* const file_;
  // Bytes not yet appended to the file; begins at a page boundary. In the tail all of
  // the tail, in the schema message all of it.
  std::string buffer_;
  size_t sealed_ = 0;  // bytes of it whose pages have their checksums
  std::vector<uint64_t> checksums_;
  std::string prefix_;  // first 8 bytes of the current message
  int64_t position_ = 0;
  bool in_schema_ = true;
  bool in_tail_ = false;
};

}  // namespace marble

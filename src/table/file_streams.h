// Arrow's streams over files of a FileSystem. No state of their own but the position.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <marble/file_system.h>

namespace marble {

/// ReadAt is thread-safe; Read and Seek are for one thread.
class FileInput final : public arrow::io::RandomAccessFile {
 public:
  static arrow::Result<std::shared_ptr<FileInput>> Open(FileSystem* fs, const std::string& path);
  explicit FileInput(std::shared_ptr<ReadableFile> file) : file_(std::move(file)) {}

  /// The same file from its start on.
  std::shared_ptr<FileInput> Again() const { return std::make_shared<FileInput>(file_); }

  arrow::Status Close() override;
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Seek(int64_t position) override;
  arrow::Result<int64_t> GetSize() override { return file_->size(); }
  arrow::Result<int64_t> Read(int64_t length, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t length) override;
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t length, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t length) override;

 private:
  /// Of `length` bytes at `position`, how many there are.
  arrow::Result<int64_t> Available(int64_t position, int64_t length) const;

  const std::shared_ptr<ReadableFile> file_;
  int64_t position_ = 0;
  bool closed_ = false;
};

/// For one thread. Close does not sync.
class FileOutput final : public arrow::io::OutputStream {
 public:
  explicit FileOutput(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}

  arrow::Status Close() override;
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  using arrow::io::OutputStream::Write;
  arrow::Status Write(const void* data, int64_t length) override;
  arrow::Status Sync() { return file_->Sync(); }

 private:
  const std::unique_ptr<WritableFile> file_;
  int64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace marble

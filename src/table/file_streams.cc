#include "table/file_streams.h"

#include <algorithm>
#include <string_view>

namespace marble {

arrow::Result<std::shared_ptr<FileInput>> FileInput::Open(FileSystem* fs, const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto file, fs->OpenReadable(path));
  return std::make_shared<FileInput>(std::move(file));
}

arrow::Status FileInput::Close() {
  closed_ = true;
  return arrow::Status::OK();
}

arrow::Status FileInput::Seek(int64_t position) {
  if (position < 0) return arrow::Status::Invalid("a position before the file's start");
  position_ = position;
  return arrow::Status::OK();
}

arrow::Result<int64_t> FileInput::Available(int64_t position, int64_t length) const {
  if (position < 0 || length < 0) {
    return arrow::Status::Invalid("a read of ", length, " bytes at ", position);
  }
  return std::clamp<int64_t>(file_->size() - position, 0, length);
}

arrow::Result<int64_t> FileInput::ReadAt(int64_t position, int64_t length, void* out) {
  ARROW_ASSIGN_OR_RAISE(const int64_t available, Available(position, length));
  if (available > 0) ARROW_RETURN_NOT_OK(file_->ReadInto(position, available, out));
  return available;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> FileInput::ReadAt(int64_t position, int64_t length) {
  ARROW_ASSIGN_OR_RAISE(const int64_t available, Available(position, length));
  if (available == 0) return std::make_shared<arrow::Buffer>(nullptr, 0);
  return file_->Read(position, available);
}

arrow::Result<int64_t> FileInput::Read(int64_t length, void* out) {
  ARROW_ASSIGN_OR_RAISE(const int64_t bytes, ReadAt(position_, length, out));
  position_ += bytes;
  return bytes;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> FileInput::Read(int64_t length) {
  ARROW_ASSIGN_OR_RAISE(auto bytes, ReadAt(position_, length));
  position_ += bytes->size();
  return bytes;
}

arrow::Status FileOutput::Write(const void* data, int64_t length) {
  ARROW_RETURN_NOT_OK(
      file_->Append(std::string_view(static_cast<const char*>(data), static_cast<size_t>(length))));
  position_ += length;
  return arrow::Status::OK();
}

arrow::Status FileOutput::Close() {
  if (closed_) return arrow::Status::OK();
  closed_ = true;
  return file_->Close();
}

}  // namespace marble

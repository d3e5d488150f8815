#include "sst/page_verifier.h"

#include <algorithm>
#include <utility>

#include <marble/error.h>

#include "base/checksum.h"

namespace marble {

namespace {

// Pages read by one system call.
constexpr int64_t kPagesAtOnce = 16;

}  // namespace

PageVerifier::PageVerifier(std::shared_ptr<ReadableFile> file,
                           std::shared_ptr<arrow::Buffer> mapping, std::string path,
                           int64_t covered_bytes, std::vector<uint64_t> checksums)
    : file_(std::move(file)),
      mapping_(std::move(mapping)),
      path_(std::move(path)),
      covered_bytes_(covered_bytes),
      checksums_(std::move(checksums)),
      bits_(std::make_unique<std::atomic<uint64_t>[]>(checksums_.size() / 64 + 1)) {}

arrow::Status PageVerifier::ReadAndCheck(int64_t first, int64_t last, uint8_t* out) {
  const int64_t begin = first * kSstPageBytes;
  const int64_t length = std::min((last + 1) * kSstPageBytes, covered_bytes_) - begin;
  ARROW_RETURN_NOT_OK(file_->ReadInto(begin, length, out));
  return Check(first, last, out);
}

arrow::Status PageVerifier::Check(int64_t first, int64_t last, const uint8_t* bytes) {
  for (int64_t page = first; page <= last; ++page) {
    const uint8_t* begin = bytes + (page - first) * kSstPageBytes;
    const std::string_view view(reinterpret_cast<const char*>(begin),
                                static_cast<size_t>(PageLength(page)));
    if (Checksum(view, PageSeed(page)) != checksums_[page]) {
      return CorruptionError(path_, page * kSstPageBytes, "page checksum mismatch");
    }
    bits_[page >> 6].fetch_or(uint64_t{1} << (page & 63), std::memory_order_release);
  }
  return arrow::Status::OK();
}

arrow::Status PageVerifier::VerifyPages(int64_t first, int64_t last) {
  const int64_t scratch_pages = std::min(kPagesAtOnce, last - first + 1);
  std::unique_ptr<uint8_t[]> scratch;
  for (int64_t page = first; page <= last;) {
    if (IsVerified(page)) {
      ++page;
      continue;
    }
    int64_t end = page + 1;
    while (end <= last && end - page < scratch_pages && !IsVerified(end)) ++end;
    const int64_t at = page * kSstPageBytes;
    const int64_t length = std::min(end * kSstPageBytes, covered_bytes_) - at;
    if (mapping_ != nullptr &&
        file_->InMemory({mapping_->data() + at, static_cast<size_t>(length)})) {
      ARROW_RETURN_NOT_OK(Check(page, end - 1, mapping_->data() + at));
    } else {
      if (scratch == nullptr) {
        scratch = std::make_unique_for_overwrite<uint8_t[]>(scratch_pages * kSstPageBytes);
      }
      ARROW_RETURN_NOT_OK(ReadAndCheck(page, end - 1, scratch.get()));
    }
    page = end;
  }
  return arrow::Status::OK();
}

arrow::Result<std::shared_ptr<arrow::Buffer>> PageVerifier::Read(int64_t offset, int64_t length,
                                                                 arrow::MemoryPool* pool) {
  if (length == 0) return arrow::AllocateBuffer(0, pool);
  const int64_t first = offset / kSstPageBytes;
  const int64_t last = (offset + length - 1) / kSstPageBytes;
  const int64_t begin = first * kSstPageBytes;
  const int64_t end = std::min((last + 1) * kSstPageBytes, covered_bytes_);
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(end - begin, pool));
  ARROW_RETURN_NOT_OK(ReadAndCheck(first, last, buffer->mutable_data()));
  if (begin == offset && end == offset + length) return buffer;
  auto slice = arrow::SliceBuffer(std::move(buffer), offset - begin, length);
  // What is kept should not keep much more: the rest of the first and the last page.
  if (end - begin - length <= length / 8) return slice;
  return slice->CopySlice(0, length, pool);
}

arrow::Status PageVerifier::VerifyAll() {
  auto scratch = std::make_unique_for_overwrite<uint8_t[]>(kPagesAtOnce * kSstPageBytes);
  const auto pages = static_cast<int64_t>(checksums_.size());
  for (int64_t page = 0; page < pages; page += kPagesAtOnce) {
    const int64_t last = std::min(page + kPagesAtOnce, pages) - 1;
    ARROW_RETURN_NOT_OK(ReadAndCheck(page, last, scratch.get()));
  }
  return arrow::Status::OK();
}

}  // namespace marble

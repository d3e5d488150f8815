// Which pages of an SSTable have been checked against their checksums since the file was opened.
// Owned by the file's reader; thread-safe without locks: two threads that meet an unchecked page
// both check it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/memory_pool.h>
#include <arrow/result.h>

#include <marble/file_system.h>

#include "sst/sst_format.h"

namespace marble {

class PageVerifier {
 public:
  /// `checksums` of the pages of the first `covered_bytes` of `file`, which is mapped at `mapping`
  /// (nullptr: not at all); `path` is for messages.
  PageVerifier(std::shared_ptr<ReadableFile> file, std::shared_ptr<arrow::Buffer> mapping,
               std::string path, int64_t covered_bytes, std::vector<uint64_t> checksums);

  /// Ranges passed to the functions below must lie within [0, covered_bytes()).
  int64_t covered_bytes() const { return covered_bytes_; }

  bool IsVerified(int64_t page) const {
    return (bits_[page >> 6].load(std::memory_order_acquire) >> (page & 63)) & 1;
  }
  /// Checks those pages of the range that have not been: where they lie if they are in memory, else
  /// by reading them, so that a device error is a Status. Corruption names the file and the page's
  /// offset.
  arrow::Status Verify(int64_t offset, int64_t length) {
    if (length <= 0) return arrow::Status::OK();
    const int64_t last = (offset + length - 1) / kSstPageBytes;
    for (int64_t page = offset / kSstPageBytes; page <= last; ++page) {
      if (!IsVerified(page)) [[unlikely]] {
        return VerifyPages(page, last);
      }
    }
    return arrow::Status::OK();
  }
  /// Bytes read into memory of `pool` and checked, whether or not they were before. 64-byte aligned
  /// if `offset` is.
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t offset, int64_t length,
                                                     arrow::MemoryPool* pool);
  /// Reads and checks every covered page, whether or not it was before.
  arrow::Status VerifyAll();

 private:
  int64_t PageLength(int64_t page) const {
    return std::min(kSstPageBytes, covered_bytes_ - page * kSstPageBytes);
  }
  arrow::Status VerifyPages(int64_t first, int64_t last);
  /// Reads consecutive pages and checks them; sets their bits.
  arrow::Status ReadAndCheck(int64_t first, int64_t last, uint8_t* out);
  /// Checks consecutive pages that begin at `bytes`; sets their bits.
  arrow::Status Check(int64_t first, int64_t last, const uint8_t* bytes);

  const std::shared_ptr<ReadableFile> file_;
  const std::shared_ptr<arrow::Buffer> mapping_;
  const std::string path_;
  const int64_t covered_bytes_;
  const std::vector<uint64_t> checksums_;
  const std::unique_ptr<std::atomic<uint64_t>[]> bits_;
};

}  // namespace marble

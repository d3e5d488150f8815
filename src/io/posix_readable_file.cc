#include "io/posix_readable_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace marble {

namespace {

/// Owns a mapping; the file behind it may be closed and unlinked.
class MappedBuffer : public arrow::Buffer {
 public:
  MappedBuffer(void* address, int64_t size)
      : arrow::Buffer(static_cast<const uint8_t*>(address), size), address_(address) {}
  ~MappedBuffer() override { ::munmap(address_, static_cast<size_t>(size())); }

 private:
  void* const address_;
};

constexpr size_t kPagesAtOnce = 512;

size_t PageBytes() {
  static const auto bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

/// Calls visit(first page, number of pages) for stretches of the pages that hold `mapped`.
template <typename Visit>
void ForEachStretch(std::span<const uint8_t> mapped, const Visit& visit) {
  const auto address = reinterpret_cast<uintptr_t>(mapped.data());
  uintptr_t begin = address - address % PageBytes();
  const uintptr_t end = address + mapped.size();
  while (begin < end) {
    const size_t pages =
        std::min<size_t>((end - begin + PageBytes() - 1) / PageBytes(), kPagesAtOnce);
    visit(reinterpret_cast<void*>(begin), pages);
    begin += pages * PageBytes();
  }
}

}  // namespace

arrow::Result<std::shared_ptr<ReadableFile>> PosixReadableFile::Open(
    std::shared_ptr<DescriptorCache> cache, const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const DescriptorCache::Opened opened, cache->Open(path));
  return std::shared_ptr<ReadableFile>(new PosixReadableFile(std::move(cache), path, opened));
}

PosixReadableFile::~PosixReadableFile() { cache_->Forget(opened_.key); }

arrow::Status PosixReadableFile::CheckRange(int64_t offset, int64_t length) const {
  if (offset < 0 || length < 0) {
    return arrow::Status::Invalid(path_, ": cannot read ", length, " bytes at ", offset);
  }
  // Asked before memory is allocated, because lengths may come from damaged bytes.
  if (offset > size() || length > size() - offset) {
    return arrow::Status::IOError(path_, ": cannot read ", length, " bytes at offset ", offset,
                                  ": the file has ", size());
  }
  return arrow::Status::OK();
}

arrow::Result<std::shared_ptr<UniqueFd>> PosixReadableFile::Descriptor() {
  return cache_->Get(opened_.key, path_, opened_.identity);
}

arrow::Result<std::shared_ptr<arrow::Buffer>> PosixReadableFile::Read(int64_t offset,
                                                                      int64_t length) {
  ARROW_RETURN_NOT_OK(CheckRange(offset, length));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer(length));
  ARROW_RETURN_NOT_OK(ReadInto(offset, length, buffer->mutable_data()));
  return buffer;
}

arrow::Status PosixReadableFile::ReadInto(int64_t offset, int64_t length, void* out) {
  ARROW_RETURN_NOT_OK(CheckRange(offset, length));
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<UniqueFd> fd, Descriptor());
  return ReadFully(fd->get(), path_, offset, length, out);
}

arrow::Result<std::shared_ptr<arrow::Buffer>> PosixReadableFile::Map() {
  if (size() == 0) return std::make_shared<arrow::Buffer>(nullptr, 0);
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<UniqueFd> fd, Descriptor());
  // Pages behind the end of a file that was cut short would raise SIGBUS.
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatDescriptor(*fd, path_));
  if (info.st_size < size()) {
    return arrow::Status::IOError(path_, ": the file was cut from ", size(), " to ",
                                  static_cast<int64_t>(info.st_size), " bytes");
  }
  void* address = ::mmap(nullptr, static_cast<size_t>(size()), PROT_READ, MAP_SHARED, fd->get(), 0);
  if (address == MAP_FAILED) {
    // This file system offers none, or the process has as many as the kernel allows.
    if (errno == ENODEV || errno == ENOMEM) return nullptr;
    return PosixError(errno, "map", path_);
  }
  return std::make_shared<MappedBuffer>(address, size());
}

bool PosixReadableFile::InMemory(std::span<const uint8_t> mapped) {
  std::array<unsigned char, kPagesAtOnce> resident;
  bool all = true;
  ForEachStretch(mapped, [&](void* begin, size_t pages) {
    const auto is_there = [](unsigned char page) { return (page & 1) != 0; };
    all = all && ::mincore(begin, pages * PageBytes(), resident.data()) == 0 &&
          std::all_of(resident.begin(), resident.begin() + pages, is_there);
  });
  return all;
}

bool PosixReadableFile::WillRead(std::span<const uint8_t> mapped) {
  bool absent = false;
  // Asking costs little where everything is there, as it mostly is; advice goes page by page.
  ForEachStretch(mapped, [&](void* begin, size_t pages) {
    const size_t bytes = pages * PageBytes();
    if (InMemory({static_cast<const uint8_t*>(begin), bytes})) return;
    absent = true;
    static_cast<void>(::madvise(begin, bytes, MADV_WILLNEED));
  });
  return absent;
}

}  // namespace marble

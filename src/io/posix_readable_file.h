// A POSIX file open for reading. Holds no descriptor of its own: it borrows one from the file
// system's cache for the length of a call. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include <marble/file_system.h>

#include "io/descriptor_cache.h"

namespace marble {

class PosixReadableFile : public ReadableFile {
 public:
  static arrow::Result<std::shared_ptr<ReadableFile>> Open(std::shared_ptr<DescriptorCache> cache,
                                                           const std::string& path);
  ~PosixReadableFile() override;

  int64_t size() const override { return opened_.size; }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t offset, int64_t length) override;
  arrow::Status ReadInto(int64_t offset, int64_t length, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> Map() override;
  bool InMemory(std::span<const uint8_t> mapped) override;
  bool WillRead(std::span<const uint8_t> mapped) override;

 private:
  PosixReadableFile(std::shared_ptr<DescriptorCache> cache, std::string path,
                    DescriptorCache::Opened opened)
      : cache_(std::move(cache)), path_(std::move(path)), opened_(opened) {}

  arrow::Status CheckRange(int64_t offset, int64_t length) const;
  arrow::Result<std::shared_ptr<UniqueFd>> Descriptor();

  const std::shared_ptr<DescriptorCache> cache_;
  const std::string path_;
  const DescriptorCache::Opened opened_;
};

}  // namespace marble

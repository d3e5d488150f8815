// The tail of an SSTable: page checksums, Arrow footer, trailer. Read and checked against the
// manifest's checksum when a file is opened, before anything in it is parsed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/result.h>
#include <arrow/type_fwd.h>

#include <marble/file_system.h>

#include "base/uuid.h"
#include "sst/file_meta.h"
#include "sst/sst_format.h"

namespace marble {

/// What a footer says of its file.
struct SstIdentity {
  std::string uuid;  // hexadecimal
  uint64_t unique_id = 0;
  uint32_t schema_version = 0;
  /// Absent in files of before 28 November 2026.
  std::optional<uint32_t> table_id;
  std::string table_name;
  std::optional<std::vector<int>> key_columns;
  /// What the file has of its table goes up to this operation; 0 if that is for its rows to say.
  uint64_t newest_sequence = 0;
};

struct SstTail {
  int64_t start = 0;  // offset of the page checksum section: what they cover ends here
  std::vector<uint64_t> page_checksums;
  std::shared_ptr<arrow::Schema> schema;
  SectionDirectory sections;
  int64_t record_batches = 0;
  uint64_t checksum = 0;  // of all its bytes
  SstIdentity identity;
};

/// Corruption if size, checksum, identity or layout are not those of `meta`; IncompatibleFormat for
/// a newer version or a feature that must be refused. `path` is for messages.
arrow::Result<SstTail> ReadSstTail(ReadableFile* file, const std::string& path, const Uuid& uuid,
                                   const FileMeta& meta);

/// The same for a repair, whatever the checksum: the tail may be damaged. Pages that match their
/// checksum in it are proven by that; where one was damaged its page counts as damaged.
arrow::Result<SstTail> ReadUnprovenSstTail(ReadableFile* file, const std::string& path,
                                           const Uuid& uuid, const FileMeta& meta);

/// For whom nobody tells what the file should be: only what the tail says of itself is
/// checked, and nothing vouches for its own bytes.
arrow::Result<SstTail> ReadLoneSstTail(ReadableFile* file, const std::string& path);

}  // namespace marble

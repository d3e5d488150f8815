// The parts of a dump, one function for each kind of file. They add what they can read to a
// document, and return the damage that ended it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <arrow/result.h>

#include <marble/dump.h>

#include "base/document.h"
#include "row/stored_schema.h"
#include "sst/file_meta.h"

namespace marble {

/// How much of long lists is shown unless all is asked for.
inline constexpr size_t kDumpItems = 8;

/// Schemas by table id, as far as they are known.
using DumpSchemas = std::map<uint32_t, std::shared_ptr<const StoredSchema>>;

/// Of the manifest of the database in `directory`; empty if it cannot be read.
DumpSchemas SchemasOfDatabase(FileSystem* fs, const std::string& directory);

/// A key by its columns, or as bytes if there is no schema.
std::string DumpKey(const StoredSchema* schema, std::string_view key);
Document DumpFileMeta(const FileMeta& meta, const StoredSchema* schema);

arrow::Status DumpLogFile(FileSystem* fs, const std::string& path, bool rows, DumpSchemas schemas,
                          Document* out);
arrow::Status DumpSst(FileSystem* fs, const std::string& path, bool rows, Document* out);

}  // namespace marble

// Dumps: which kind of file it is, and CURRENT. The other kinds are in dump_log.cc and dump_sst.cc.

#include <marble/dump.h>

#include <algorithm>
#include <string_view>

#include <marble/error.h>

#include "db/dump_parts.h"
#include "db/survey.h"
#include "io/parent_directory.h"
#include "log/log_format.h"
#include "sst/sst_format.h"
#include "tree/manifest.h"

namespace marble {

namespace {

arrow::Status DumpCurrent(std::string_view text, const std::string& path, Document* out) {
  out->Add("kind", "current").Add("text", Printable(text, 200));
  ARROW_ASSIGN_OR_RAISE(const CurrentContents current, DecodeCurrent(text, path));
  out->Add("manifest", current.manifest).Add("uuid", current.uuid_hex);
  out->Add("closed_properly", current.clean).Add("manifest_bytes", current.manifest_bytes);
  return arrow::Status::OK();
}

}  // namespace

DumpSchemas SchemasOfDatabase(FileSystem* fs, const std::string& directory) {
  DumpSchemas schemas;
  const auto current = ReadCurrent(fs, directory);
  if (!current.ok()) return schemas;
  const auto manifest = ReadManifest(fs, directory, current->manifest, &*current);
  if (!manifest.ok()) return schemas;
  for (const auto& [id, table] : manifest->state.tables) {
    if (auto schema = SchemaOf(table.record); schema.ok()) schemas[id] = *schema;
  }
  return schemas;
}

std::string DumpKey(const StoredSchema* schema, std::string_view key) {
  return schema == nullptr ? Printable(key) : KeyText(*schema, key);
}

arrow::Result<Dump> DumpFile(const std::string& path, const DumpOptions& options) {
  FileSystem* fs = options.file_system != nullptr ? options.file_system : DefaultFileSystem();
  ARROW_ASSIGN_OR_RAISE(auto file, fs->OpenReadable(path));
  ARROW_ASSIGN_OR_RAISE(const auto head, file->Read(0, std::min<int64_t>(file->size(), 4096)));
  const std::string_view bytes(*head);
  Document out = Document::Object();
  out.Add("file", path).Add("bytes", file->size());
  Dump dump;
  const std::string name = path.substr(path.rfind('/') + 1);
  if (bytes.starts_with(std::string_view(kLogMagic, sizeof(kLogMagic)))) {
    // A segment lies in wal/ of its database, a manifest in the database itself.
    const bool segment = name.ends_with(".wal");
    const std::string directory =
        segment ? ParentDirectory(ParentDirectory(path)) : ParentDirectory(path);
    dump.status = DumpLogFile(fs, path, options.rows,
                              segment ? SchemasOfDatabase(fs, directory) : DumpSchemas(), &out);
  } else if (bytes.starts_with(kIpcMagic) || name.ends_with(".arrow")) {
    dump.status = DumpSst(fs, path, options.rows, &out);
  } else if (name == "CURRENT") {
    dump.status = DumpCurrent(bytes, path, &out);
  } else {
    return arrow::Status::Invalid(path, " is no log segment, manifest, SSTable or CURRENT");
  }
  if (dump.status.IsOutOfMemory()) return dump.status;
  if (!dump.status.ok()) out.Add("damage", dump.status.message());
  dump.text = options.json ? out.ToJson() : out.ToText();
  return dump;
}

}  // namespace marble

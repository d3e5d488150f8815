#include "tree/manifest.h"

#include <sstream>

#include <marble/error.h>

#include "base/checksum.h"
#include "base/warn.h"
#include "log/log_reader.h"
#include "tree/file_names.h"
#include "tree/version.h"

namespace marble {

namespace {

std::string TemporaryPath(const std::string& directory) { return CurrentPath(directory) + ".tmp"; }

arrow::Status WriteTemporary(FileSystem* fs, const std::string& directory,
                             const CurrentContents& contents) {
  const std::string temporary = TemporaryPath(directory);
  ARROW_ASSIGN_OR_RAISE(bool stale, fs->Exists(temporary));
  if (stale) ARROW_RETURN_NOT_OK(fs->Remove(temporary));
  ARROW_ASSIGN_OR_RAISE(auto file, fs->CreateWritable(temporary));
  ARROW_RETURN_NOT_OK(file->Append(EncodeCurrent(contents)));
  ARROW_RETURN_NOT_OK(file->Sync());
  return file->Close();
}

/// Puts what WriteTemporary has written in CURRENT's place.
arrow::Status SwitchCurrent(FileSystem* fs, const std::string& directory) {
  ARROW_RETURN_NOT_OK(fs->Rename(TemporaryPath(directory), CurrentPath(directory)));
  return fs->SyncDirectory(directory);
}

/// Judges the place where the records of a manifest stopped.
arrow::Status CheckEnd(LogReader* reader, const std::string& path, const CurrentContents& current,
                       ManifestContents* contents) {
  const auto stop = static_cast<int64_t>(reader->stopped_at().offset);
  if (current.clean) {
    if (contents->ended_clean && contents->end == current.manifest_bytes) {
      return arrow::Status::OK();
    }
    return CorruptionError(path, stop,
                           "the database was closed with a manifest of " +
                               std::to_string(current.manifest_bytes) +
                               " bytes, and it is not whole now; restore it from a backup");
  }
  ARROW_ASSIGN_OR_RAISE(auto later, reader->FindAfter(reader->stopped_at().offset + 1));
  contents->has_more = later != nullptr || reader->gave_up();
  if (contents->has_more) {
    return CorruptionError(path, stop, "a manifest record is damaged and valid ones follow it");
  }
  if (contents->end == kLogHeaderBytes) {
    return CorruptionError(path, kLogHeaderBytes, "holds no edit");
  }
  return arrow::Status::OK();
}

}  // namespace

std::string EncodeCurrent(const CurrentContents& contents) {
  std::ostringstream text;
  text << ManifestName(contents.manifest) << ' ' << contents.uuid_hex << ' '
       << (contents.clean ? "clean " : "open ") << contents.manifest_bytes << ' ';
  const uint64_t checksum = Checksum(text.str());
  text << std::hex << checksum << '\n';
  return text.str();
}

arrow::Result<CurrentContents> DecodeCurrent(std::string_view text, const std::string& path) {
  std::istringstream words{std::string(text)};
  std::string manifest;
  std::string state;
  CurrentContents contents;
  words >> manifest >> contents.uuid_hex >> state >> contents.manifest_bytes;
  auto number = ParseManifestName(manifest);
  contents.clean = state == "clean";
  contents.manifest = number.value_or(0);
  // Encoding again and comparing checks the checksum and every separator at once.
  if (!words || !number.has_value() || EncodeCurrent(contents) != text) {
    return CorruptionError(path, 0, "not a valid CURRENT file");
  }
  return contents;
}

arrow::Status ManifestState::Apply(const VersionEdit& edit) {
  for (const TableRecord& record : edit.created) {
    auto [it, added] = tables.try_emplace(record.id);
    if (!added) return arrow::Status::Invalid("table ", record.id, " is created twice");
    it->second.record = record;
  }
  for (const TableRecord& record : edit.altered) {
    auto found = tables.find(record.id);
    if (found == tables.end()) {
      return arrow::Status::Invalid("alters the unknown table ", record.id);
    }
    found->second.record = record;
  }
  for (const TableEdit& change : edit.tables) {
    auto found = tables.find(change.table);
    if (found == tables.end()) {
      return arrow::Status::Invalid("an edit of the unknown table ", change.table);
    }
    ManifestTable& table = found->second;
    for (uint64_t number : change.removed) {
      if (table.files.erase(number) == 0) {
        return arrow::Status::Invalid("removes the unknown file ", number);
      }
    }
    for (const AddedFile& file : change.added) {
      if (file.level >= kLevels) return arrow::Status::Invalid("file at level ", file.level);
      if (!table.files.emplace(file.meta.number, file).second) {
        return arrow::Status::Invalid("adds the file ", file.meta.number, " twice");
      }
    }
    if (change.flushed_sequence) table.flushed_sequence = *change.flushed_sequence;
    if (change.next_row_id) table.next_row_id = *change.next_row_id;
  }
  for (uint32_t id : edit.dropped) {
    if (tables.erase(id) == 0) return arrow::Status::Invalid("drops the unknown table ", id);
  }
  if (edit.next_table_id) next_table_id = *edit.next_table_id;
  if (edit.next_file_number) next_file_number = *edit.next_file_number;
  if (edit.last_sequence) last_sequence = *edit.last_sequence;
  if (edit.hash_seed) hash_seed = *edit.hash_seed;
  if (edit.log_start) log_start = *edit.log_start;
  if (edit.log_first_sequence) log_first_sequence = *edit.log_first_sequence;
  if (edit.durable_through) durable_through = *edit.durable_through;
  return arrow::Status::OK();
}

VersionEdit ManifestState::AsEdit() const {
  VersionEdit edit;
  for (const auto& [id, table] : tables) {
    edit.created.push_back(table.record);
    TableEdit& change = edit.tables.emplace_back();
    change.table = id;
    for (const auto& [number, file] : table.files) change.added.push_back(file);
    change.flushed_sequence = table.flushed_sequence;
    change.next_row_id = table.next_row_id;
  }
  edit.next_table_id = next_table_id;
  edit.next_file_number = next_file_number;
  edit.last_sequence = last_sequence;
  edit.hash_seed = hash_seed;
  edit.log_start = log_start;
  if (log_first_sequence != 0) edit.log_first_sequence = log_first_sequence;
  edit.durable_through = durable_through;
  return edit;
}

arrow::Result<CurrentContents> ReadCurrent(FileSystem* fs, const std::string& directory) {
  const std::string path = CurrentPath(directory);
  ARROW_ASSIGN_OR_RAISE(auto file, fs->OpenReadable(path));
  if (file->size() > 4096) return CorruptionError(path, 0, "longer than a CURRENT file can be");
  ARROW_ASSIGN_OR_RAISE(auto text, file->Read(0, file->size()));
  return DecodeCurrent(std::string_view(*text), path);
}

namespace {

/// Adds a record's edit to the state.
arrow::Status ApplyRecord(const LogRecord& record, const std::string& path, ManifestState* state) {
  const auto offset = static_cast<int64_t>(record.begin.offset);
  auto edit = DecodeVersionEdit(std::string_view(*record.payload));
  if (edit.status().IsNotImplemented()) {
    return IncompatibleFormatError(path, edit.status().message());
  }
  if (!edit.ok()) return CorruptionError(path, offset, edit.status().message());
  const arrow::Status applied = state->Apply(*edit);
  return applied.ok() ? applied : CorruptionError(path, offset, applied.message());
}

}  // namespace

arrow::Result<ManifestContents> ReadManifest(FileSystem* fs, const std::string& directory,
                                             uint64_t number, const CurrentContents* current) {
  const std::string path = ManifestPath(directory, number);
  ARROW_ASSIGN_OR_RAISE(bool exists, fs->Exists(path));
  if (!exists) return CorruptionError(path, -1, "CURRENT names this manifest, but it is missing");
  ARROW_ASSIGN_OR_RAISE(auto file, fs->OpenReadable(path));
  ARROW_ASSIGN_OR_RAISE(auto reader,
                        LogReader::Open(file, path, LogFileKind::kManifest, nullptr, number));
  ManifestContents contents;
  contents.header = reader->header();
  contents.state.uuid = reader->header().uuid;
  contents.end = kLogHeaderBytes;
  if (current != nullptr && ToHex(contents.state.uuid) != current->uuid_hex) {
    return CorruptionError(path, 16, "belongs to another database than CURRENT says");
  }
  while (true) {
    ARROW_ASSIGN_OR_RAISE(auto record, reader->Next());
    if (record == nullptr) break;
    contents.ended_clean = record->header.kind == LogRecordKind::kCleanEnd;
    if (!contents.ended_clean) {
      contents.status = ApplyRecord(*record, path, &contents.state);
      if (!contents.status.ok()) return contents;
    }
    contents.end = record->end.offset;
    ++contents.records;
  }
  contents.status =
      CheckEnd(reader.get(), path, current == nullptr ? CurrentContents() : *current, &contents);
  return contents;
}

arrow::Result<LoadedManifest> Manifest::Load(FileSystem* fs, const std::string& directory) {
  ARROW_ASSIGN_OR_RAISE(const CurrentContents current, ReadCurrent(fs, directory));
  ARROW_ASSIGN_OR_RAISE(ManifestContents contents,
                        ReadManifest(fs, directory, current.manifest, &current));
  ARROW_RETURN_NOT_OK(contents.status);
  LoadedManifest loaded;
  loaded.state = std::move(contents.state);
  loaded.number = current.manifest;
  loaded.clean = current.clean;
  loaded.may_only_read = contents.header.may_only_read;
  return loaded;
}

arrow::Result<std::unique_ptr<Manifest>> Manifest::Create(FileSystem* fs,
                                                          const std::string& directory,
                                                          uint64_t number,
                                                          const ManifestState& state) {
  ARROW_ASSIGN_OR_RAISE(auto file, fs->CreateWritable(ManifestPath(directory, number)));
  LogFileHeader header;
  header.kind = LogFileKind::kManifest;
  header.uuid = state.uuid;
  header.number = number;
  CurrentContents current;
  current.manifest = number;
  current.uuid_hex = ToHex(state.uuid);
  std::unique_ptr<Manifest> manifest;
  auto write = [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto writer, ManifestWriter::Start(std::move(file), header));
    // raw new because: the constructor is private.
    manifest.reset(new Manifest(fs, directory, state.uuid, std::move(writer)));
    ARROW_RETURN_NOT_OK(manifest->Append(state.AsEdit()));
    manifest->bytes_at_first_ = manifest->bytes();
    ARROW_RETURN_NOT_OK(fs->SyncDirectory(directory));
    return WriteTemporary(fs, directory, current);
  };
  if (arrow::Status written = write(); !written.ok()) {
    // CURRENT does not name it: a full disk must not fill with attempts.
    WarnIfError(fs->Remove(ManifestPath(directory, number)));
    return written;
  }
  ARROW_RETURN_NOT_OK(SwitchCurrent(fs, directory));
  return manifest;
}

arrow::Status Manifest::Append(const VersionEdit& edit) {
  LogRecordHeader header;
  header.kind = LogRecordKind::kEdit;
  header.durable_through = {writer_->number(), static_cast<uint64_t>(writer_->bytes())};
  return writer_->AppendAndSync(header, EncodeVersionEdit(edit));
}

bool Manifest::IsWorthRewriting() const {
  // Shorter ones are never written anew.
  constexpr int64_t kBytesMin = int64_t{4} << 20;
  return bytes() > std::max(kBytesMin, 2 * bytes_at_first_);
}

arrow::Status Manifest::CloseClean() {
  LogRecordHeader header;
  header.kind = LogRecordKind::kCleanEnd;
  header.durable_through = {writer_->number(), static_cast<uint64_t>(writer_->bytes())};
  ARROW_RETURN_NOT_OK(writer_->AppendAndSync(header, ""));
  ARROW_RETURN_NOT_OK(writer_->Close());
  CurrentContents current;
  current.manifest = writer_->number();
  current.uuid_hex = ToHex(uuid_);
  current.clean = true;
  current.manifest_bytes = static_cast<uint64_t>(writer_->bytes());
  ARROW_RETURN_NOT_OK(WriteTemporary(fs_, directory_, current));
  return SwitchCurrent(fs_, directory_);
}

}  // namespace marble

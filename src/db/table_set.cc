#include "db/table_set.h"

#include <algorithm>

#include <marble/error.h>

#include "base/check.h"
#include "tree/file_names.h"

namespace marble {

namespace {

/// Newest first: memtables and runs of level 0 by their highest sequence, then the deeper runs,
/// shallowest first.
std::vector<Source> OrderSources(const LiveTable& table) {
  std::vector<Source> sources;
  for (size_t i = 0; i + 1 < table.memtables.size(); ++i) {
    sources.push_back({table.memtables[i].memtable, nullptr});
  }
  for (const auto& run : table.version->levels[0]) sources.push_back({nullptr, run});
  std::stable_sort(sources.begin(), sources.end(), [](const Source& a, const Source& b) {
    auto newest = [](const Source& s) {
      return s.memtable != nullptr ? s.memtable->sequence_max() : s.run->sequence_max();
    };
    return newest(a) > newest(b);
  });
  // The active memtable may be empty; whatever it gets is newer than everything else.
  sources.insert(sources.begin(), {table.memtables.back().memtable, nullptr});
  for (int level = 1; level < kLevels; ++level) {
    for (const auto& run : table.version->levels[level]) sources.push_back({nullptr, run});
  }
  return sources;
}

std::shared_ptr<TableState> MakeState(const TableRecord& record, const TableSchemas& schemas) {
  const StoredSchema& schema = *schemas.current();
  TableInfo info;
  info.name = record.name;
  info.id = record.id;
  info.schema = schema.user_schema();
  info.options = schema.options();
  info.is_key_value = schema.is_key_value();
  return std::make_shared<TableState>(std::move(info), schemas.current());
}

}  // namespace

arrow::Result<LiveTable*> TableSet::Add(TableRecord record, const ManifestTable* files) {
  ARROW_ASSIGN_OR_RAISE(TableSchemas schemas, TableSchemas::Make(record));
  auto table = std::make_unique<LiveTable>();
  table->state = MakeState(record, schemas);
  table->record = std::move(record);
  table->schemas = std::move(schemas);
  std::vector<PlacedFile> placed;
  if (files != nullptr) {
    table->next_row_id = files->next_row_id;
    table->recovered_sequence = files->flushed_sequence;
    for (const auto& [number, added] : files->files) {
      if (table->schemas.Find(added.meta.schema_version) == nullptr) {
        return CorruptionError(SstPath(environment_->directory, number), -1,
                               "the manifest says that it has schema " +
                                   std::to_string(added.meta.schema_version) + " of table '" +
                                   table->record.name + "', which it does not know");
      }
      placed.push_back(
          {static_cast<int>(added.level), added.run, MakeFile(table->schemas, added.meta)});
      table->next_run = std::max(table->next_run, added.run + 1);
    }
  }
  table->version = MakeVersion(Version(), {}, placed);
  table->memtables.push_back({NewMemtable(*table), 0});
  RefreshView(table.get());
  LiveTable* added = table.get();
  added->state->live = added;
  ids_[added->record.name] = added->record.id;
  tables_[added->record.id] = std::move(table);
  return added;
}

std::unique_ptr<LiveTable> TableSet::Remove(uint32_t id) {
  auto found = tables_.find(id);
  MARBLE_CHECK(found != tables_.end());
  std::unique_ptr<LiveTable> table = std::move(found->second);
  tables_.erase(found);
  ids_.erase(table->record.name);
  table->state->dropped.store(true);
  // Readers keep the view they hold; new ones are refused, so the memory and the files go with the
  // last reader.
  table->state->view.Store(nullptr);
  table->state->live = nullptr;
  return table;
}

LiveTable* TableSet::Find(const std::string& name) {
  auto found = ids_.find(name);
  return found == ids_.end() ? nullptr : Find(found->second);
}

LiveTable* TableSet::Find(uint32_t id) {
  auto found = tables_.find(id);
  return found == tables_.end() ? nullptr : found->second.get();
}

std::vector<LiveTable*> TableSet::Behind(uint32_t id) const {
  std::vector<LiveTable*> tables;
  tables.reserve(tables_.size());
  const auto first = tables_.upper_bound(id);
  for (auto it = first; it != tables_.end(); ++it) tables.push_back(it->second.get());
  for (auto it = tables_.begin(); it != first; ++it) tables.push_back(it->second.get());
  return tables;
}

std::shared_ptr<Memtable> TableSet::NewMemtable(const LiveTable& table) const {
  return Memtable::Make(table.state->schema, environment_->hash_seed, environment_->pool,
                        table.keys_expected);
}

std::shared_ptr<const TableFile> TableSet::MakeFile(const TableSchemas& schemas,
                                                    const FileMeta& meta) const {
  const auto written_as = schemas.Find(meta.schema_version);
  MARBLE_CHECK(written_as != nullptr);
  auto file =
      std::make_shared<TableFile>(meta, environment_->ReaderOptions(written_as, meta.number));
  if (written_as == schemas.current()) return file;
  return std::make_shared<TableFile>(std::move(file), schemas.current());
}

void TableSet::Alter(LiveTable* table, TableRecord record, TableSchemas schemas) {
  MARBLE_CHECK(!table->has_sealed() && table->active().memtable->empty());
  std::vector<PlacedFile> placed;
  for (int level = 0; level < kLevels; ++level) {
    for (const auto& run : table->version->levels[level]) {
      for (const auto& file : run->files) {
        const auto& written = file->as_written() != nullptr ? file->as_written() : file;
        placed.push_back({level, run->id, std::make_shared<TableFile>(written, schemas.current())});
      }
    }
  }
  const std::shared_ptr<TableState> before = std::move(table->state);
  table->state = MakeState(record, schemas);
  table->state->live = table;
  table->record = std::move(record);
  table->schemas = std::move(schemas);
  table->version = MakeVersion(Version(), {}, placed);
  table->memtables.clear();
  table->memtables.push_back({NewMemtable(*table), 0});
  table->counted_bytes = 0;
  RefreshView(table);
  before->live = nullptr;
  before->Succeed(table->state);
  before->view.Store(nullptr);
}

void TableSet::RefreshView(LiveTable* table) {
  auto view = std::make_shared<TableView>();
  view->schema = table->state->schema;
  view->hash_seed = environment_->hash_seed;
  view->pool = environment_->pool;
  view->sources = OrderSources(*table);
  table->state->view.Store(view);
}

void TableSet::Seal(LiveTable* table) {
  if (table->active().memtable->empty()) return;
  const Memtable& sealed = *table->active().memtable;
  const bool well_filled = sealed.bytes() >= environment_->memtable_bytes_max() / 2;
  if (well_filled || sealed.entries() > table->keys_expected) {
    table->keys_expected = sealed.entries();
  }
  table->memtables.push_back({NewMemtable(*table), 0});
  table->counted_bytes = 0;
  RefreshView(table);
}

void TableSet::Attach(LiveTable* table, const std::vector<FileMeta>& files) {
  MARBLE_CHECK(table->active().memtable->empty());
  TableEdit edit;
  const uint64_t run = table->next_run++;
  for (const FileMeta& file : files) edit.added.push_back({0, run, file});
  Apply(table, edit, nullptr);
}

void TableSet::Apply(LiveTable* table, const TableEdit& edit, const Memtable* flushed) {
  std::map<uint64_t, std::shared_ptr<const TableFile>> known;
  for (const auto& level : table->version->levels) {
    for (const auto& run : level) {
      for (const auto& file : run->files) known[file->meta().number] = file;
    }
  }
  std::vector<PlacedFile> placed;
  std::vector<uint64_t> gone = edit.removed;
  for (const AddedFile& added : edit.added) {
    // A file that only changes its level keeps its reader.
    std::shared_ptr<const TableFile> file;
    if (auto found = known.find(added.meta.number); found != known.end()) {
      file = found->second;
      std::erase(gone, added.meta.number);
    } else {
      file = MakeFile(table->schemas, added.meta);
    }
    placed.push_back({static_cast<int>(added.level), added.run, std::move(file)});
  }
  table->version = MakeVersion(*table->version, edit.removed, placed);
  for (uint64_t number : gone) known.at(number)->MarkObsolete();
  if (flushed != nullptr) {
    MARBLE_CHECK(table->has_sealed() && table->memtables.front().memtable.get() == flushed);
    table->memtables.pop_front();
  }
  RefreshView(table);
}

uint64_t TableSet::FlushedSequence(const LiveTable& table, uint64_t last_sequence,
                                   const Memtable* flushed) {
  for (const MemtableSlot& slot : table.memtables) {
    if (slot.memtable.get() == flushed || slot.memtable->empty()) continue;
    return slot.memtable->sequence_min() - 1;
  }
  return last_sequence;
}

uint64_t TableSet::OldestSegmentNeeded(uint64_t current, const Memtable* flushed) const {
  uint64_t oldest = current;
  for (const auto& [id, table] : tables_) {
    for (const MemtableSlot& slot : table->memtables) {
      if (slot.memtable.get() == flushed || slot.first_segment == 0) continue;
      oldest = std::min(oldest, slot.first_segment);
    }
  }
  return oldest;
}

int64_t TableSet::MemtableBytes() const {
  int64_t bytes = 0;
  for (const auto& [id, table] : tables_) bytes += table->memtable_bytes();
  return bytes;
}

}  // namespace marble

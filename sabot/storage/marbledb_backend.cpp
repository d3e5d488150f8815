#include "sabot/storage/marbledb_backend.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include <marble/file_system.h>
#include <marble/table.h>

#include "sabot/storage/arrow_status.h"

namespace sabot::storage {
namespace {

constexpr char kStateTable[] = "__sabot_state__";

Status NotOpen() { return Status::Closed("the backend is not open"); }

// Why the engine has no answer; never NotFound, which would say that the key is absent.
Status NoAnswer(const arrow::Status& status) {
  if (!marble::IsNotFound(status)) return FromArrow(status);
  return Status::Closed("the state is gone: " + status.message());
}

// An iterator, or a whole scan, over [start, end); the empty end is unbounded.
class MarbleStateIterator final : public StateIterator {
 public:
  MarbleStateIterator(std::unique_ptr<marble::Iterator> iterator, bool reverse)
      : iterator_(std::move(iterator)), reverse_(reverse) {
    if (reverse_) {
      iterator_->SeekToLast();
    } else {
      iterator_->SeekToFirst();
    }
  }
  bool Valid() const override { return iterator_->Valid(); }
  void Next() override {
    if (reverse_) {
      iterator_->Prev();
    } else {
      iterator_->Next();
    }
  }
  std::string_view key() const override { return iterator_->key(); }
  std::string_view value() const override { return iterator_->value(); }
  Status status() const override { return FromArrow(iterator_->status()); }

 private:
  const std::unique_ptr<marble::Iterator> iterator_;
  const bool reverse_;
};

arrow::Result<std::unique_ptr<marble::Iterator>> OpenIterator(const marble::KeyValue& state,
                                                              const std::string& start,
                                                              const std::string& end) {
  marble::IteratorOptions options;
  options.lower = start;
  if (!end.empty()) options.upper = end;
  return state.NewIterator(options);
}

bool EqualButPath(const StorageConfig& a, const StorageConfig& b) {
  StorageConfig copy = a;
  copy.path = b.path;
  return copy == b;
}

// Two spellings of one directory.
bool IsSameDirectory(const std::string& a, const std::string& b) {
  if (a == b) return true;
  if (a.empty() || b.empty()) return false;
  const auto first = marble::DefaultFileSystem()->Identity(a);
  const auto second = marble::DefaultFileSystem()->Identity(b);
  return first.ok() && second.ok() && *first == *second;
}

// With a path that goes on meaning the open database when the working directory changes.
arrow::Result<StorageConfig> WithLastingPath(StorageConfig config) {
  ARROW_ASSIGN_OR_RAISE(config.path, marble::DefaultFileSystem()->Canonical(config.path));
  return config;
}

// The agreements of this process. Marble itself compares what it opens a database with; what only
// tables are made with is compared here. An entry counts for as long as a backend holds it.
struct Agreements {
  std::mutex mutex;
  std::map<const marble::DatabaseCore*, std::weak_ptr<const StorageConfig>> by_database;
};

Agreements& GetAgreements() {
  // raw new because: backends may be closed after the destructors of statics have run.
  static Agreements* const agreements = new Agreements;
  return *agreements;
}

Status Agree(const marble::Database& database, const StorageConfig& config, Agreement* agreement) {
  SABOT_ASSIGN_OR_RETURN(const auto core, database.core());
  Agreements& all = GetAgreements();
  std::lock_guard lock(all.mutex);
  std::erase_if(all.by_database, [](const auto& entry) { return entry.second.expired(); });
  auto& entry = all.by_database[core.get()];
  Agreement held = entry.lock();
  if (held == nullptr) {
    held = std::make_shared<const StorageConfig>(config);
    entry = held;
  }
  if (!EqualButPath(*held, config)) {
    return Status::Conflict("'" + config.path +
                            "' is open in this process with another configuration");
  }
  *agreement = std::move(held);
  return Status::OK();
}

// One open for both kinds of backend: OK if `database` is open with `config` already, else a new
// handle.
Status OpenDatabase(const StorageConfig& config, const StorageConfig& config_now,
                    const std::shared_ptr<marble::Database>& database_now, bool* open_already,
                    std::shared_ptr<marble::Database>* database, Agreement* agreement) {
  *open_already = database_now != nullptr && !database_now->closed();
  if (*open_already) {
    if (EqualButPath(config, config_now) && IsSameDirectory(config.path, config_now.path)) {
      return Status::OK();
    }
    return Status::Conflict("the backend is open with another configuration, at '" +
                            config_now.path + "'");
  }
  SABOT_RETURN_NOT_OK(CheckConfig(config));
  if (config.path.empty()) return Status::InvalidArgument("the path to open is empty");
  SABOT_ASSIGN_OR_RETURN(*database, marble::Database::Open(config.path, ToMarbleOptions(config)));
  return Agree(**database, config, agreement);
}

arrow::Result<std::shared_ptr<marble::KeyValue>> OpenState(
    const std::shared_ptr<marble::Database>& database, const StorageConfig& config) {
  if (!database->GetTable(kStateTable).ok()) {
    auto schema = arrow::schema({arrow::field("key", arrow::utf8(), /*nullable=*/false),
                                 arrow::field("value", arrow::binary())});
    marble::TableOptions options = ToMarbleTableOptions(config);
    options.primary_key = {"key"};
    ARROW_RETURN_NOT_OK(database->CreateTable(kStateTable, schema, options));
  }
  return marble::KeyValue::Open(database, kStateTable);
}

Status CloseDatabase(const std::shared_ptr<marble::Database>& database, Agreement* agreement) {
  if (database == nullptr) return Status::OK();
  {
    std::lock_guard lock(GetAgreements().mutex);
    agreement->reset();
  }
  return FromArrow(database->Close());
}

}  // namespace

marble::Options ToMarbleOptions(const StorageConfig& config) {
  marble::Options options;
  options.memtable_bytes = config.memtable_size_mb << 20;
  options.memory_budget = std::max(options.memory_budget, 4 * options.memtable_bytes);
  return options;
}

marble::TableOptions ToMarbleTableOptions(const StorageConfig& config) {
  marble::TableOptions options;
  if (!config.enable_bloom_filter) {
    options.point_lookup = marble::PointLookup::kNone;
  } else if (!config.enable_sparse_index) {
    options.point_lookup = marble::PointLookup::kBloomFilter;
  } else {
    options.point_lookup = marble::PointLookup::kPointIndex;
  }
  options.block_rows_max = config.index_granularity;
  return options;
}

Status MarbleDbStateBackend::Open(const StorageConfig& config) {
  return Guarded([&]() -> Status {
    bool open_already = false;
    std::shared_ptr<marble::Database> database;
    Agreement agreement;
    SABOT_RETURN_NOT_OK(
        OpenDatabase(config, config_, database_, &open_already, &database, &agreement));
    if (open_already) return Status::OK();
    SABOT_ASSIGN_OR_RETURN(StorageConfig opened, WithLastingPath(config));
    SABOT_ASSIGN_OR_RETURN(state_, OpenState(database, config));
    database_ = std::move(database);
    agreement_ = std::move(agreement);
    config_ = std::move(opened);
    return Status::OK();
  });
}

Status MarbleDbStateBackend::Close() {
  return Guarded([&] { return CloseDatabase(database_, &agreement_); });
}

Status MarbleDbStateBackend::Flush() {
  return Guarded([&]() -> Status {
    if (database_ == nullptr) return NotOpen();
    return FromArrow(database_->SyncLog());
  });
}

Status MarbleDbStateBackend::Put(const std::string& key, const std::string& value) {
  return Guarded([&]() -> Status {
    if (state_ == nullptr) return NotOpen();
    return FromArrow(state_->Put(key, value));
  });
}

Status MarbleDbStateBackend::Get(const std::string& key, std::string* value) {
  return Guarded([&]() -> Status {
    if (state_ == nullptr) return NotOpen();
    const arrow::Result<bool> found = state_->Get(key, value);
    if (!found.ok()) return NoAnswer(found.status());
    if (*found) return Status::OK();
    // Short enough to need no allocation: misses are everyday.
    return Status::NotFound("no such key");
  });
}

Status MarbleDbStateBackend::Delete(const std::string& key) {
  return Guarded([&]() -> Status {
    if (state_ == nullptr) return NotOpen();
    return FromArrow(state_->Delete(key));
  });
}

Status MarbleDbStateBackend::Exists(const std::string& key, bool* exists) {
  return Guarded([&]() -> Status {
    if (state_ == nullptr) return NotOpen();
    SABOT_ASSIGN_OR_RETURN(*exists, state_->Exists(key));
    return Status::OK();
  });
}

Status MarbleDbStateBackend::MultiGet(const std::vector<std::string>& keys,
                                      std::vector<std::string>* values) {
  return Guarded([&]() -> Status {
    std::vector<std::optional<std::string>> found;
    SABOT_RETURN_NOT_OK(MultiGet(keys, &found));
    values->assign(keys.size(), std::string());
    for (size_t i = 0; i < found.size(); ++i) {
      if (found[i].has_value()) (*values)[i] = *std::move(found[i]);
    }
    return Status::OK();
  });
}

Status MarbleDbStateBackend::MultiGet(const std::vector<std::string>& keys,
                                      std::vector<std::optional<std::string>>* values) {
  return Guarded([&]() -> Status {
    if (state_ == nullptr) return NotOpen();
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    SABOT_ASSIGN_OR_RETURN(*values, state_->MultiGet(views));
    return Status::OK();
  });
}

Status MarbleDbStateBackend::DeleteRange(const std::string& start, const std::string& end) {
  return Guarded([&]() -> Status {
    if (state_ == nullptr) return NotOpen();
    std::optional<std::string_view> upper;
    if (!end.empty()) upper = end;
    return FromArrow(state_->DeleteRange(start, upper));
  });
}

Status MarbleDbStateBackend::Scan(const std::string& start, const std::string& end,
                                  const ScanCallback& callback, bool reverse) {
  return Guarded([&]() -> Status {
    if (state_ == nullptr) return NotOpen();
    SABOT_ASSIGN_OR_RETURN(auto opened, OpenIterator(*state_, start, end));
    MarbleStateIterator iterator(std::move(opened), reverse);
    while (iterator.Valid() && callback(iterator.key(), iterator.value())) iterator.Next();
    return iterator.status();
  });
}

Status MarbleDbStateBackend::NewIterator(const std::string& start, const std::string& end,
                                         std::unique_ptr<StateIterator>* iterator, bool reverse) {
  return Guarded([&]() -> Status {
    if (state_ == nullptr) return NotOpen();
    SABOT_ASSIGN_OR_RETURN(auto opened, OpenIterator(*state_, start, end));
    *iterator = std::make_unique<MarbleStateIterator>(std::move(opened), reverse);
    return Status::OK();
  });
}

Status MarbleDbStoreBackend::Open(const StorageConfig& config) {
  return Guarded([&]() -> Status {
    bool open_already = false;
    std::shared_ptr<marble::Database> database;
    Agreement agreement;
    SABOT_RETURN_NOT_OK(
        OpenDatabase(config, config_, database_, &open_already, &database, &agreement));
    if (open_already) return Status::OK();
    SABOT_ASSIGN_OR_RETURN(StorageConfig opened, WithLastingPath(config));
    database_ = std::move(database);
    agreement_ = std::move(agreement);
    config_ = std::move(opened);
    return Status::OK();
  });
}

Status MarbleDbStoreBackend::Close() {
  return Guarded([&] {
    ForgetAllBatches();
    return CloseDatabase(database_, &agreement_);
  });
}

Status MarbleDbStoreBackend::Flush() {
  return Guarded([&]() -> Status {
    if (database_ == nullptr) return NotOpen();
    return FromArrow(database_->SyncLog());
  });
}

Status MarbleDbStoreBackend::CreateTable(const std::string& name,
                                         const std::shared_ptr<arrow::Schema>& schema) {
  return CreateTable(name, schema, TableOptions{});
}

Status MarbleDbStoreBackend::CreateTable(const std::string& name,
                                         const std::shared_ptr<arrow::Schema>& schema,
                                         const TableOptions& options) {
  return Guarded([&]() -> Status {
    if (database_ == nullptr) return NotOpen();
    if (schema == nullptr) {
      return Status::InvalidArgument("the schema of table '" + name + "' is null");
    }
    marble::TableOptions table_options = ToMarbleTableOptions(config_);
    table_options.primary_key = options.primary_key;
    const arrow::Status created = database_->CreateTable(name, schema, table_options);
    if (marble::IsConflict(created)) return Status::AlreadyExists(created.message());
    return FromArrow(created);
  });
}

Status MarbleDbStoreBackend::DropTable(const std::string& name) {
  return Guarded([&]() -> Status {
    if (database_ == nullptr) return NotOpen();
    // It belongs to the state backend, which may have this path open as well.
    if (name == kStateTable) return Status::NotFound("there is no table '" + name + "'");
    SABOT_RETURN_NOT_OK(FromArrow(database_->DropTable(name)));
    ForgetBatches(name);
    return Status::OK();
  });
}

Status MarbleDbStoreBackend::ListTables(std::vector<std::string>* names) {
  return Guarded([&]() -> Status {
    if (database_ == nullptr) return NotOpen();
    SABOT_ASSIGN_OR_RETURN(*names, database_->ListTables());
    std::erase_if(*names, [](const std::string& name) { return name.starts_with("__"); });
    return Status::OK();
  });
}

Status MarbleDbStoreBackend::GetSchema(const std::string& name,
                                       std::shared_ptr<arrow::Schema>* schema) {
  return Guarded([&]() -> Status {
    if (database_ == nullptr) return NotOpen();
    SABOT_ASSIGN_OR_RETURN(marble::TableInfo info, database_->GetTable(name));
    *schema = std::move(info.schema);
    return Status::OK();
  });
}

Status MarbleDbStoreBackend::GetPrimaryKey(const std::string& name,
                                           std::vector<std::string>* columns) {
  return Guarded([&]() -> Status {
    if (database_ == nullptr) return NotOpen();
    SABOT_ASSIGN_OR_RETURN(marble::TableInfo info, database_->GetTable(name));
    *columns = std::move(info.options.primary_key);
    return Status::OK();
  });
}

Status MarbleDbStoreBackend::InsertBatches(
    const std::string& name, const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  return Guarded([&]() -> Status {
    if (database_ == nullptr) return NotOpen();
    SABOT_ASSIGN_OR_RETURN(auto table, marble::Table::Open(database_, name));
    return FromArrow(table->Insert(batches));
  });
}

Status MarbleDbStoreBackend::DeleteRange(const std::string& name, const KeyBound& start,
                                         const KeyBound& end) {
  return Guarded([&]() -> Status {
    if (database_ == nullptr) return NotOpen();
    SABOT_ASSIGN_OR_RETURN(auto table, marble::Table::Open(database_, name));
    return FromArrow(table->DeleteRange({.lower = start, .upper = end}));
  });
}

Status MarbleDbStoreBackend::KeyTypes(const std::string& name, arrow::DataTypeVector* types) {
  if (database_ == nullptr) return NotOpen();
  SABOT_ASSIGN_OR_RETURN(marble::TableInfo info, database_->GetTable(name));
  types->clear();
  for (const std::string& column : info.options.primary_key) {
    types->push_back(info.schema->GetFieldByName(column)->type());
  }
  return Status::OK();
}

Status MarbleDbStoreBackend::OpenReader(const std::string& name, const KeyRange& range,
                                        std::shared_ptr<arrow::RecordBatchReader>* reader) {
  if (database_ == nullptr) return NotOpen();
  SABOT_ASSIGN_OR_RETURN(auto table, marble::Table::Open(database_, name));
  marble::ScanOptions options;
  options.range = {.lower = range.start, .upper = range.end};
  SABOT_ASSIGN_OR_RETURN(*reader, table->Scan(options));
  return Status::OK();
}

}  // namespace sabot::storage

#include "sabot/storage/memory_backend.h"

#include <algorithm>
#include <map>
#include <shared_mutex>
#include <utility>

#include <arrow/util/utf8.h>

#include "sabot/storage/arrow_status.h"
#include "sabot/storage/memory_table.h"

namespace sabot::storage {

/// Everything under one path. `mutex` guards all that follows it; the registry's mutex guards the
/// first two.
struct MemoryDatabase {
  StorageConfig config;
  int handles = 0;

  std::shared_mutex mutex;
  std::map<std::string, std::string> state;
  std::map<std::string, MemoryTable> tables;
};

namespace {

constexpr char kDefaultTable[] = "default";
constexpr size_t kKeyBytesMax = 64 * 1024;
constexpr size_t kValueBytesMax = size_t{1} << 30;
constexpr size_t kNameBytesMax = 255;

// Paths of this process, for as long as it lives.
struct Registry {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<MemoryDatabase>> databases;
};

Registry& GetRegistry() {
  // raw new because: backends may be closed after the destructors of statics have run.
  static Registry* const registry = new Registry;
  return *registry;
}

Status MakeDatabase(const StorageConfig& config, std::shared_ptr<MemoryDatabase>* database) {
  auto made = std::make_shared<MemoryDatabase>();
  made->config = config;
  auto schema = arrow::schema({arrow::field("key", arrow::utf8(), /*nullable=*/false),
                               arrow::field("value", arrow::binary())});
  SABOT_RETURN_NOT_OK(MemoryTable::Make(kDefaultTable, schema, {.primary_key = {"key"}},
                                        &made->tables[kDefaultTable]));
  *database = std::move(made);
  return Status::OK();
}

bool IsUtf8(const std::string& text) {
  static const bool initialized = [] {
    arrow::util::InitializeUTF8();
    return true;
  }();
  return initialized && arrow::util::ValidateUTF8(text);
}

Status CheckKey(const std::string& key) {
  if (key.size() > kKeyBytesMax) {
    return Status::InvalidArgument("a key of " + std::to_string(key.size()) +
                                   " bytes is too long: at most " + std::to_string(kKeyBytesMax));
  }
  if (!IsUtf8(key)) return Status::InvalidArgument("the key given is not valid UTF-8");
  return Status::OK();
}

Status CheckTableName(const std::string& name) {
  if (name.empty() || name.size() > kNameBytesMax) {
    return Status::InvalidArgument("a table name has 1 to 255 bytes, and this one " +
                                   std::to_string(name.size()));
  }
  const bool has_control = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (has_control || !IsUtf8(name)) {
    return Status::InvalidArgument("a table name is valid UTF-8 without control characters");
  }
  if (name == "." || name.find('/') != std::string::npos || name.find("..") != std::string::npos) {
    return Status::InvalidArgument("table name '" + name + "' looks like a path");
  }
  return Status::OK();
}

// Calls visit(MemoryTable*) under a lock of the database.
template <template <typename> typename Lock, typename Visit>
Status WithTable(const MemoryHandle& handle, const std::string& name, const Visit& visit) {
  std::shared_ptr<MemoryDatabase> database;
  SABOT_RETURN_NOT_OK(handle.Get(&database));
  const Lock<std::shared_mutex> lock(database->mutex);
  const auto found = database->tables.find(name);
  if (found == database->tables.end()) return Status::NotFound("no table '" + name + "'");
  return visit(&found->second);
}

// First and last of the pairs in [start, end); the empty end is unbounded.
template <typename Map>
auto FindRange(Map& state, const std::string& start, const std::string& end) {
  const auto first = state.lower_bound(start);
  if (end.empty()) return std::pair(first, state.end());
  return std::pair(first, end <= start ? first : state.lower_bound(end));
}

class VectorIterator final : public StateIterator {
 public:
  explicit VectorIterator(std::vector<std::pair<std::string, std::string>> pairs)
      : pairs_(std::move(pairs)) {}
  bool Valid() const override { return next_ < pairs_.size(); }
  void Next() override { ++next_; }
  std::string_view key() const override { return pairs_[next_].first; }
  std::string_view value() const override { return pairs_[next_].second; }
  Status status() const override { return Status::OK(); }

 private:
  const std::vector<std::pair<std::string, std::string>> pairs_;
  size_t next_ = 0;
};

}  // namespace

Status MemoryHandle::Open(const StorageConfig& config) {
  SABOT_RETURN_NOT_OK(CheckConfig(config));
  std::lock_guard lock(mutex_);
  if (database_ != nullptr) {
    if (config == config_) return Status::OK();
    return Status::Conflict("the backend is open with another configuration, at '" + config_.path +
                            "'");
  }
  Registry& registry = GetRegistry();
  std::lock_guard registry_lock(registry.mutex);
  std::shared_ptr<MemoryDatabase> database;
  if (!config.path.empty()) {
    const auto found = registry.databases.find(config.path);
    if (found != registry.databases.end()) database = found->second;
  }
  if (database == nullptr) {
    SABOT_RETURN_NOT_OK(MakeDatabase(config, &database));
    if (!config.path.empty()) registry.databases[config.path] = database;
  }
  if (database->handles == 0) database->config = config;
  if (database->config != config) {
    return Status::Conflict("'" + config.path + "' is open with another configuration");
  }
  ++database->handles;
  database_ = std::move(database);
  config_ = config;
  return Status::OK();
}

void MemoryHandle::Close() {
  std::lock_guard lock(mutex_);
  if (database_ == nullptr) return;
  std::lock_guard registry_lock(GetRegistry().mutex);
  --database_->handles;
  database_.reset();
}

Status MemoryHandle::Get(std::shared_ptr<MemoryDatabase>* database) const {
  std::lock_guard lock(mutex_);
  if (database_ == nullptr) return Status::Closed("the backend is not open");
  *database = database_;
  return Status::OK();
}

Status MemoryStateBackend::Open(const StorageConfig& config) {
  return Guarded([&] { return handle_.Open(config); });
}

Status MemoryStateBackend::Close() {
  handle_.Close();
  return Status::OK();
}

Status MemoryStateBackend::Flush() {
  std::shared_ptr<MemoryDatabase> database;
  return handle_.Get(&database);
}

Status MemoryStateBackend::Put(const std::string& key, const std::string& value) {
  return Guarded([&]() -> Status {
    std::shared_ptr<MemoryDatabase> database;
    SABOT_RETURN_NOT_OK(handle_.Get(&database));
    SABOT_RETURN_NOT_OK(CheckKey(key));
    if (value.size() > kValueBytesMax) {
      return Status::InvalidArgument("a value of " + std::to_string(value.size()) +
                                     " bytes is too long");
    }
    std::unique_lock lock(database->mutex);
    database->state.insert_or_assign(key, value);
    return Status::OK();
  });
}

Status MemoryStateBackend::Get(const std::string& key, std::string* value) {
  return Guarded([&]() -> Status {
    std::shared_ptr<MemoryDatabase> database;
    SABOT_RETURN_NOT_OK(handle_.Get(&database));
    std::shared_lock lock(database->mutex);
    const auto found = database->state.find(key);
    if (found == database->state.end()) return Status::NotFound("no such key");
    *value = found->second;
    return Status::OK();
  });
}

Status MemoryStateBackend::Delete(const std::string& key) {
  return Guarded([&]() -> Status {
    std::shared_ptr<MemoryDatabase> database;
    SABOT_RETURN_NOT_OK(handle_.Get(&database));
    SABOT_RETURN_NOT_OK(CheckKey(key));
    std::unique_lock lock(database->mutex);
    database->state.erase(key);
    return Status::OK();
  });
}

Status MemoryStateBackend::Exists(const std::string& key, bool* exists) {
  return Guarded([&]() -> Status {
    std::shared_ptr<MemoryDatabase> database;
    SABOT_RETURN_NOT_OK(handle_.Get(&database));
    std::shared_lock lock(database->mutex);
    *exists = database->state.contains(key);
    return Status::OK();
  });
}

Status MemoryStateBackend::MultiGet(const std::vector<std::string>& keys,
                                    std::vector<std::string>* values) {
  return Guarded([&]() -> Status {
    std::vector<std::optional<std::string>> found;
    SABOT_RETURN_NOT_OK(MultiGet(keys, &found));
    values->clear();
    for (auto& value : found) values->push_back(std::move(value).value_or(std::string()));
    return Status::OK();
  });
}

Status MemoryStateBackend::MultiGet(const std::vector<std::string>& keys,
                                    std::vector<std::optional<std::string>>* values) {
  return Guarded([&]() -> Status {
    std::shared_ptr<MemoryDatabase> database;
    SABOT_RETURN_NOT_OK(handle_.Get(&database));
    values->assign(keys.size(), std::nullopt);
    std::shared_lock lock(database->mutex);
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto found = database->state.find(keys[i]);
      if (found != database->state.end()) (*values)[i] = found->second;
    }
    return Status::OK();
  });
}

Status MemoryStateBackend::DeleteRange(const std::string& start, const std::string& end) {
  return Guarded([&]() -> Status {
    std::shared_ptr<MemoryDatabase> database;
    SABOT_RETURN_NOT_OK(handle_.Get(&database));
    std::unique_lock lock(database->mutex);
    const auto [first, last] = FindRange(database->state, start, end);
    database->state.erase(first, last);
    return Status::OK();
  });
}

Status MemoryStateBackend::Scan(const std::string& start, const std::string& end,
                                const ScanCallback& callback, bool reverse) {
  return Guarded([&]() -> Status {
    // The callback runs without the lock, so it may use the backend.
    std::unique_ptr<StateIterator> iterator;
    SABOT_RETURN_NOT_OK(NewIterator(start, end, &iterator, reverse));
    while (iterator->Valid() && callback(iterator->key(), iterator->value())) iterator->Next();
    return iterator->status();
  });
}

Status MemoryStateBackend::NewIterator(const std::string& start, const std::string& end,
                                       std::unique_ptr<StateIterator>* iterator, bool reverse) {
  return Guarded([&]() -> Status {
    std::shared_ptr<MemoryDatabase> database;
    SABOT_RETURN_NOT_OK(handle_.Get(&database));
    std::vector<std::pair<std::string, std::string>> pairs;
    {
      std::shared_lock lock(database->mutex);
      const auto [first, last] = FindRange(std::as_const(database->state), start, end);
      pairs.assign(first, last);
    }
    if (reverse) std::reverse(pairs.begin(), pairs.end());
    *iterator = std::make_unique<VectorIterator>(std::move(pairs));
    return Status::OK();
  });
}

Status MemoryStoreBackend::Open(const StorageConfig& config) {
  return Guarded([&] { return handle_.Open(config); });
}

Status MemoryStoreBackend::Close() {
  ForgetAllBatches();
  handle_.Close();
  return Status::OK();
}

Status MemoryStoreBackend::Flush() {
  std::shared_ptr<MemoryDatabase> database;
  return handle_.Get(&database);
}

Status MemoryStoreBackend::CreateTable(const std::string& name,
                                       const std::shared_ptr<arrow::Schema>& schema) {
  return CreateTable(name, schema, TableOptions{});
}

Status MemoryStoreBackend::CreateTable(const std::string& name,
                                       const std::shared_ptr<arrow::Schema>& schema,
                                       const TableOptions& options) {
  return Guarded([&]() -> Status {
    std::shared_ptr<MemoryDatabase> database;
    SABOT_RETURN_NOT_OK(handle_.Get(&database));
    SABOT_RETURN_NOT_OK(CheckTableName(name));
    if (schema == nullptr) {
      return Status::InvalidArgument("the schema of table '" + name + "' is null");
    }
    MemoryTable table;
    SABOT_RETURN_NOT_OK(MemoryTable::Make(name, schema, options, &table));
    std::unique_lock lock(database->mutex);
    const auto found = database->tables.find(name);
    if (found == database->tables.end()) {
      database->tables.emplace(name, std::move(table));
      return Status::OK();
    }
    if (found->second.Equals(table)) return Status::OK();
    return Status::AlreadyExists("table '" + name + "' has another schema or key");
  });
}

Status MemoryStoreBackend::DropTable(const std::string& name) {
  return Guarded([&]() -> Status {
    std::shared_ptr<MemoryDatabase> database;
    SABOT_RETURN_NOT_OK(handle_.Get(&database));
    if (name == kDefaultTable) return Status::InvalidArgument("table 'default' stays");
    {
      std::unique_lock lock(database->mutex);
      if (database->tables.erase(name) == 0) return Status::NotFound("no table '" + name + "'");
    }
    ForgetBatches(name);
    return Status::OK();
  });
}

Status MemoryStoreBackend::ListTables(std::vector<std::string>* names) {
  return Guarded([&]() -> Status {
    std::shared_ptr<MemoryDatabase> database;
    SABOT_RETURN_NOT_OK(handle_.Get(&database));
    names->clear();
    std::shared_lock lock(database->mutex);
    for (const auto& [name, table] : database->tables) {
      if (!name.starts_with("__")) names->push_back(name);
    }
    return Status::OK();
  });
}

Status MemoryStoreBackend::GetSchema(const std::string& name,
                                     std::shared_ptr<arrow::Schema>* schema) {
  return Guarded([&]() -> Status {
    return WithTable<std::shared_lock>(handle_, name, [&](MemoryTable* table) {
      *schema = table->schema();
      return Status::OK();
    });
  });
}

Status MemoryStoreBackend::GetPrimaryKey(const std::string& name,
                                         std::vector<std::string>* columns) {
  return Guarded([&]() -> Status {
    return WithTable<std::shared_lock>(handle_, name, [&](MemoryTable* table) {
      *columns = table->PrimaryKey();
      return Status::OK();
    });
  });
}

Status MemoryStoreBackend::InsertBatches(
    const std::string& name, const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  return Guarded([&]() -> Status {
    return WithTable<std::unique_lock>(handle_, name,
                                       [&](MemoryTable* table) { return table->Insert(batches); });
  });
}

Status MemoryStoreBackend::DeleteRange(const std::string& name, const KeyBound& start,
                                       const KeyBound& end) {
  return Guarded([&]() -> Status {
    return WithTable<std::unique_lock>(
        handle_, name, [&](MemoryTable* table) { return table->DeleteRange({start, end}); });
  });
}

Status MemoryStoreBackend::KeyTypes(const std::string& name, arrow::DataTypeVector* types) {
  return WithTable<std::shared_lock>(handle_, name, [&](MemoryTable* table) {
    *types = table->KeyTypes();
    return Status::OK();
  });
}

Status MemoryStoreBackend::OpenReader(const std::string& name, const KeyRange& range,
                                      std::shared_ptr<arrow::RecordBatchReader>* reader) {
  return WithTable<std::shared_lock>(
      handle_, name, [&](MemoryTable* table) { return table->Read(range, reader); });
}

}  // namespace sabot::storage

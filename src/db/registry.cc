#include "db/registry.h"

#include <unistd.h>

#include <map>
#include <memory>

#include <marble/error.h>

#include "base/mutex.h"
#include "db/creation.h"

namespace marble {

namespace {

struct Entry {
  std::shared_ptr<OpenDatabase> database;  // nullptr while opening or closing
  int handles = 0;
};

struct Registry {
  Mutex mutex;
  CondVar changed;
  std::map<std::string, Entry> entries MARBLE_GUARDED_BY(mutex);
  pid_t process MARBLE_GUARDED_BY(mutex) = ::getpid();
};

/// Never destroyed: handles may be released by other static destructors.
Registry& Global() {
  static auto* registry = std::make_unique<Registry>().release();
  return *registry;
}

/// After a fork the child has copies of its parent's databases without their threads. They must be
/// neither used nor destroyed (that would wait for the threads): the child forgets them, and
/// opening one of them meets the parent's lock.
void ForgetParentsDatabases(Registry* registry) MARBLE_REQUIRES(registry->mutex) {
  if (registry->process == ::getpid()) return;
  registry->process = ::getpid();
  static_cast<void>(
      std::make_unique<std::map<std::string, Entry>>(std::move(registry->entries)).release());
  registry->entries.clear();
}

arrow::Result<std::string> IdentityOf(const std::string& path, const Options& options) {
  FileSystem* fs = options.file_system != nullptr ? options.file_system : DefaultFileSystem();
  ARROW_ASSIGN_OR_RAISE(bool exists, fs->Exists(path));
  if (!exists) {
    if (!options.create_if_missing) return arrow::Status::Invalid("there is no database at ", path);
    ARROW_RETURN_NOT_OK(CreateDatabaseDirectory(fs, path));
  }
  ARROW_ASSIGN_OR_RAISE(std::string identity, fs->Identity(path));
  return std::to_string(reinterpret_cast<uintptr_t>(fs)) + ":" + identity;
}

}  // namespace

arrow::Result<std::shared_ptr<OpenDatabase>> AcquireDatabase(const std::string& path,
                                                             const Options& options) {
  if (options.read_only) return OpenDatabase::Open(path, options);
  ARROW_ASSIGN_OR_RAISE(const std::string identity, IdentityOf(path, options));
  Registry& registry = Global();
  MutexLock lock(&registry.mutex);
  ForgetParentsDatabases(&registry);
  while (true) {
    auto [it, added] = registry.entries.try_emplace(identity);
    if (added) break;
    if (it->second.database == nullptr) {
      // Another thread opens or closes it: wait, then look again.
      registry.changed.wait(registry.mutex);
      continue;
    }
    if (it->second.database->options() != options) {
      return ConflictError(path + " is open in this process with other options");
    }
    ++it->second.handles;
    return it->second.database;
  }
  registry.mutex.unlock();
  auto opened = OpenDatabase::Open(path, options);
  registry.mutex.lock();
  if (opened.ok()) {
    registry.entries[identity] = {*opened, 1};
  } else {
    registry.entries.erase(identity);
  }
  registry.changed.notify_all();
  return opened;
}

arrow::Status ReleaseDatabase(const std::shared_ptr<OpenDatabase>& database) {
  if (database->options().read_only) return database->Close();
  Registry& registry = Global();
  MutexLock lock(&registry.mutex);
  ForgetParentsDatabases(&registry);
  for (auto it = registry.entries.begin(); it != registry.entries.end(); ++it) {
    if (it->second.database != database) continue;
    arrow::Status synced;
    if (it->second.handles > 1) {
      // What this handle has written is durable when it is closed, also if others go on. Until it
      // is given up nobody ends the database.
      const MutexUnlock unlock(&registry.mutex);
      synced = database->SyncLog();
    }
    if (--it->second.handles > 0) return synced;
    it->second.database = nullptr;
    registry.mutex.unlock();
    arrow::Status status = database->Close();
    registry.mutex.lock();
    registry.entries.erase(it);
    registry.changed.notify_all();
    return status;
  }
  return arrow::Status::OK();
}

}  // namespace marble

#include "tree/file_pin.h"

#include <map>
#include <memory>
#include <utility>

#include "base/mutex.h"
#include "base/warn.h"
#include "io/posix_util.h"

namespace marble {

namespace {

struct PinnedFile {
  int pins = 0;
  bool remove = false;
};

struct PinTable {
  Mutex mutex;
  std::map<std::pair<FileSystem*, std::string>, PinnedFile> files MARBLE_GUARDED_BY(mutex);
};

/// Never destroyed: readers may be released by other static destructors.
PinTable& Pins() {
  static auto* pins = std::make_unique<PinTable>().release();
  return *pins;
}

}  // namespace

FilePin::FilePin(FileSystem* fs, std::string path) : fs_(fs), path_(std::move(path)) {
  PinTable& pins = Pins();
  MutexLock lock(&pins.mutex);
  PinnedFile& file = pins.files[{fs_, path_}];
  ++file.pins;
  // Numbers are never used twice: a new reader means that a new database has the old one's path.
  file.remove = false;
}

FilePin::~FilePin() {
  {
    PinTable& pins = Pins();
    MutexLock lock(&pins.mutex);
    auto found = pins.files.find({fs_, path_});
    if (--found->second.pins > 0) return;
    const bool remove = found->second.remove;
    pins.files.erase(found);
    if (!remove) return;
  }
  // A file that cannot be removed now is an orphan: the next open lists and removes it.
  WarnIfError(RemoveIfThere(fs_, path_));
}

void FilePin::RemoveAtLast() const {
  PinTable& pins = Pins();
  MutexLock lock(&pins.mutex);
  pins.files.at({fs_, path_}).remove = true;
}

arrow::Status RemoveWhenUnpinned(FileSystem* fs, const std::string& path) {
  {
    PinTable& pins = Pins();
    MutexLock lock(&pins.mutex);
    auto found = pins.files.find({fs, path});
    if (found != pins.files.end()) {
      found->second.remove = true;
      return arrow::Status::OK();
    }
  }
  return RemoveIfThere(fs, path);
}

}  // namespace marble

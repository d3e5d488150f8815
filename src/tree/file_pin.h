// Who in this process may still read a file: a file that is not needed any more is removed when the
// last of them lets go, whichever opening of the database it belongs to. (A reader handed out
// before a database was closed goes on reading while the reopened database compacts.)
#pragma once

#include <string>

#include <arrow/status.h>

#include <marble/file_system.h>

namespace marble {

/// Counts as one reader of a file for as long as it lives. Thread-safe.
class FilePin {
 public:
  FilePin(FileSystem* fs, std::string path);
  ~FilePin();
  FilePin(const FilePin&) = delete;
  FilePin& operator=(const FilePin&) = delete;

  const std::string& path() const { return path_; }
  /// The file is to be removed when nobody pins it any more.
  void RemoveAtLast() const;

 private:
  FileSystem* const fs_;
  const std::string path_;
};

/// Removes a file now, or when its last pin goes. One that is not there, because its last reader
/// has just removed it, is no error.
arrow::Status RemoveWhenUnpinned(FileSystem* fs, const std::string& path);

}  // namespace marble

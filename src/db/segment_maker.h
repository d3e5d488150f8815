// Makes the segments of the log; those that come next beforehand, on a thread of its own. Creating
// a file, renaming a recycled one and making its pages writable are changes of the file system's
// metadata, which may wait a tenth of a second for a commit of its journal: writers should not.
//
// Thread-safe. What goes wrong beforehand is not reported: the segment is then made when it is
// needed, by who needs it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <arrow/result.h>

#include <marble/file_system.h>

#include "base/uuid.h"
#include "log/log_writer.h"

namespace marble {

class SegmentMaker {
 public:
  SegmentMaker(FileSystem* fs, std::string directory, const Uuid& uuid, int64_t segment_bytes);
  ~SegmentMaker();

  int64_t segment_bytes() const { return segment_bytes_; }

  /// The first segment of a log; it has no predecessor.
  arrow::Result<std::unique_ptr<SegmentWriter>> First(uint64_t number);
  /// The segment `predecessor` + 1: one made beforehand, or made now if there is none or if another
  /// `capacity` than segment_bytes() is needed.
  arrow::Result<std::unique_ptr<SegmentWriter>> Next(uint64_t predecessor, int64_t capacity);

  /// Begins to make the `count` segments behind the one that was given last. Those that are there
  /// count. `pages`: makes their pages ready for small writes, which makes all of them dirty.
  void MakeAhead(int count, bool pages);
  /// Would Next give a segment at once?
  bool IsReady() const;

  /// A path for one file more of segment_bytes() that shall be used again, beside `others` that are
  /// to come; empty if there are enough.
  std::string SparePath(int64_t others);
  /// Such a file is there now and closed.
  void AddSpare(std::string path);

  /// Is there anything that is made, was made and not used, or is kept to be used again?
  bool HasSpares() const;
  /// Gives all of that up, for a log that is not written for a while: the paths of the files, for
  /// the caller to remove.
  arrow::Result<std::vector<std::string>> TakeSpares();

  /// Ends the thread. Removes what was made and not used, and the spares, if `remove`.
  arrow::Status Close(bool remove);

 private:
  void Run();
  void Stop();
  arrow::Result<std::unique_ptr<SegmentWriter>> Make(uint64_t number, uint64_t predecessor,
                                                     int64_t capacity);
  arrow::Result<std::unique_ptr<SegmentFile>> MakeFile(const std::string& path, int64_t capacity);
  /// Makes spares of what was made beforehand, because another segment takes the first one's
  /// number.
  arrow::Status TakeBack();

  FileSystem* const fs_;
  const std::string directory_;
  const Uuid uuid_;
  const int64_t segment_bytes_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;  // begun by the first MakeAhead
  std::vector<std::string> spares_;
  uint64_t next_spare_ = 1;
  uint64_t last_ = 0;                                 // the segment that was given last
  std::deque<std::unique_ptr<SegmentWriter>> ready_;  // those behind it
  int wanted_ = 0;                                    // of ready_
  bool pages_ = true;                                 // are to be made ready
  bool making_ = false;
  bool stopping_ = false;
};

}  // namespace marble

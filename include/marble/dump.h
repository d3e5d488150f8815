// What a file of a database holds, as text or JSON: for looking into damage, and for the curious.
#pragma once

#include <string>

#include <arrow/result.h>

#include <marble/file_system.h>

namespace marble {

struct DumpOptions {
  /// JSON instead of indented text.
  bool json = false;
  /// Every row of an SSTable (else none), every operation of a log record (else the first eight).
  bool rows = false;
  /// nullptr means the operating system's.
  FileSystem* file_system = nullptr;
};

struct Dump {
  std::string text;
  /// OK, or the damage that was met: Corruption with the offset, or IncompatibleFormat. What could
  /// be read in spite of it is in `text`.
  arrow::Status status;
};

/// Dumps a log segment, a manifest, an SSTable or CURRENT, without a lock and without writing. The
/// first two are known by their first bytes, an SSTable by these or by its name, CURRENT by its
/// name. Keys are shown by their columns where the file itself, or the manifest of the database
/// around it, tells the schema, else as bytes.
///
/// Errors: I/O errors; Invalid for a file that is none of these.
arrow::Result<Dump> DumpFile(const std::string& path, const DumpOptions& options = {});

}  // namespace marble

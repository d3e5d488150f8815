// Key-value engines behind one interface, so that a workload runs on each of them in the same way.
//
// An operation that reads adds every byte it got to a digest, and is free to do so without a copy.
// An engine ends the program when an operation fails.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "digest.h"

namespace marble::benchmark {

/// Where an engine's files are and what it may use; the same for all engines.
struct EngineSettings {
  std::string directory;
  int64_t cache_bytes = int64_t{1} << 30;
  int64_t write_buffer_bytes = int64_t{64} << 20;
  /// What the files may grow to; LMDB has to be told before.
  int64_t disk_bytes_max = int64_t{64} << 30;
  /// The data are larger than the memory allowed: no reading ahead of random reads.
  bool larger_than_memory = false;
};

/// A position that is moved again and again over one consistent state.
class Cursor {
 public:
  virtual ~Cursor() = default;
  /// Reads up to `rows_max` rows from the first key >= `key` on.
  virtual void Read(std::string_view key, int64_t rows_max, Digest* digest) = 0;
};

/// An open database. Get, MultiGet, Put and PutSynced may be called by several threads at once,
/// each of which ends before the engine does.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual void Put(std::string_view key, std::string_view value) = 0;
  /// On return the write survives power loss.
  virtual void PutSynced(std::string_view key, std::string_view value) = 0;
  /// All rows or none, of equally many keys and values.
  virtual void PutBatch(std::span<const std::string_view> keys,
                        std::span<const std::string_view> values) = 0;
  /// Deletes [begin, end) as fast as the engine knows how.
  virtual void DeleteRange(std::string_view begin, std::string_view end) = 0;

  /// True and the value added if the key is there.
  virtual bool Get(std::string_view key, Digest* digest) = 0;
  /// Adds the values of those keys that are there.
  virtual void MultiGet(std::span<const std::string_view> keys, Digest* digest) = 0;
  /// All rows in ascending or descending order by iterator.
  virtual void Scan(bool reverse, Digest* digest) = 0;
  /// All rows in the engine's fastest form; sums are right, heads are not kept.
  virtual void ScanBatches(Digest* digest) { Scan(false, digest); }
  /// Reads [begin, end), at most `rows_max` rows, by an iterator made for it. `end` empty means
  /// unbounded.
  virtual void ReadRange(std::string_view begin, std::string_view end, int64_t rows_max,
                         Digest* digest) = 0;
  virtual std::unique_ptr<Cursor> NewCursor() = 0;

  /// Returns when everything written survives power loss, is out of the write buffers, and no
  /// background work is due. Gives the seconds that passed between that moment and its noticing.
  virtual double Settle() = 0;
  /// All of it in as few files and levels as the engine makes them; then as Settle.
  virtual void Compact() = 0;

  /// The settings that count, and what the engine itself says of them, for the report.
  virtual std::string Describe() = 0;
  /// What the engine counted, such as write stalls; empty if nothing.
  virtual std::string Statistics() { return {}; }
};

/// A way to run an engine.
struct EngineKind {
  std::string name;
  /// The engine's own, without its configuration: peers are compared by it.
  std::string family;
  std::unique_ptr<Engine> (*open)(const EngineSettings& settings);
  std::string version;
  /// Every write waits for the disk, so it takes part in synced writes only.
  bool synced_only = false;
  /// No engine, only the bare system calls; never part of "the best peer".
  bool floor = false;
};

/// Those that this program was built with.
std::vector<EngineKind> MarbleEngines();
std::vector<EngineKind> RocksDbEngines();
std::vector<EngineKind> LevelDbEngines();
std::vector<EngineKind> LmdbEngines();
std::vector<EngineKind> BareFileEngines();

}  // namespace marble::benchmark

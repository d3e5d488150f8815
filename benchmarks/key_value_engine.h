// Key-value engines behind one interface, so that a workload runs on each of them in the same way
// and run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace marble::benchmark {

/// One engine with one open database. Fails by ending the program with a message: a benchmark of
/// half a run is worth nothing.
class KeyValueEngine {
 public:
  virtual ~KeyValueEngine() = default;
  virtual std::string name() const = 0;
  virtual void Put(std::string_view key, std::string_view value) = 0;
  /// True and `value` set if the key is there.
  virtual bool Get(std::string_view key, std::string* value) = 0;
  /// How many of the keys are there.
  virtual int64_t MultiGet(const std::vector<std::string_view>& keys) = 0;
  /// Walks all rows and returns the bytes of keys and values.
  virtual int64_t Scan() = 0;
  /// Everything written is in files and background work is done.
  virtual void Settle() = 0;
  /// All of it in one run.
  virtual void Compact() = 0;
};

/// Both start with an empty directory. Writes are not synced, checksums are on, one writing thread.
std::unique_ptr<KeyValueEngine> OpenMarble(const std::string& directory);
/// nullptr if the build has no RocksDB. 64 MiB x 4 memtables, LZ4, 10-bit bloom filter, 1 GiB
/// cache.
std::unique_ptr<KeyValueEngine> OpenRocksDb(const std::string& directory);

/// Ends the program with a message.
[[noreturn]] void Die(const std::string& what);

/// The i-th of a run's random keys: 16 bytes, the same for all engines.
std::string KeyOf(uint64_t i);
/// A scattering of 64 bits (the finaliser of MurmurHash3).
uint64_t Scatter(uint64_t x);

double Now();

}  // namespace marble::benchmark

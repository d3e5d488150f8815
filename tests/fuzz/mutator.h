// Changes to inputs that parsers of lengths, offsets and checksums are sensitive to. Deterministic.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace marble::fuzz {

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  /// A changed copy of one of `corpus` (not empty), of at most `bytes_max` bytes.
  std::string Next(const std::vector<std::string>& corpus, size_t bytes_max);
  /// Is the next input to be resealed? Mostly.
  bool WantsSeal() { return Below(8) != 0; }

 private:
  uint64_t Below(uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }
  /// An offset, often one of the last bytes or one at which numbers stand.
  size_t Place(const std::string& bytes);
  void Change(const std::vector<std::string>& corpus, std::string* bytes);
  void ChangeBytes(std::string* bytes);
  void WriteEdgeValue(std::string* bytes);
  void RepeatBlock(std::string* bytes);

  std::mt19937_64 random_;
};

}  // namespace marble::fuzz

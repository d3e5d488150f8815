#include "fuzz/mutator.h"

#include <algorithm>
#include <cstring>

namespace marble::fuzz {

namespace {

constexpr uint64_t kEdges[] = {0,          1,          2,           7,          8,
                               63,         64,         65,          127,        128,
                               255,        256,        0x3fff,      0x4000,     0x7fff,
                               0x8000,     0xffff,     0x10000,     0x00ffffff, 0x7fffffff,
                               0x80000000, 0xffffffff, 0x100000000, 1ull << 40, 1ull << 62,
                               ~0ull >> 1, 1ull << 63, ~0ull - 100, ~0ull - 1,  ~0ull};
constexpr uint64_t kSmallStep = 17;
constexpr size_t kBlockBytesMax = 512;
constexpr uint64_t kChangesMax = 5;

}  // namespace

std::string Mutator::Next(const std::vector<std::string>& corpus, size_t bytes_max) {
  std::string bytes = corpus[Below(corpus.size())];
  for (uint64_t changes = 1 + Below(kChangesMax); changes > 0; --changes) Change(corpus, &bytes);
  if (bytes.size() > bytes_max) bytes.resize(bytes_max);
  return bytes;
}

size_t Mutator::Place(const std::string& bytes) {
  if (bytes.empty()) return 0;
  size_t at = Below(bytes.size());
  switch (Below(4)) {
    case 0:  // headers are in front
      at = Below(std::min<size_t>(bytes.size(), 256));
      break;
    case 1:  // footers at the end
      at = bytes.size() - 1 - Below(std::min<size_t>(bytes.size(), 1024));
      break;
    case 2:
      at -= at % 8;
      break;
    default:
      break;
  }
  return at;
}

void Mutator::Change(const std::vector<std::string>& corpus, std::string* bytes) {
  switch (Below(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
      ChangeBytes(bytes);
      break;
    case 4:
    case 5:
      WriteEdgeValue(bytes);
      break;
    case 6:
      RepeatBlock(bytes);
      break;
    case 7: {  // splice
      const std::string& other = corpus[Below(corpus.size())];
      const size_t keep = Below(bytes->size() + 1);
      const size_t from = Below(2) == 0 ? std::min(keep, other.size()) : Below(other.size() + 1);
      bytes->resize(keep);
      bytes->append(other, from, std::string::npos);
      break;
    }
    case 8:  // cut out, or cut short
      if (Below(2) == 0) {
        bytes->resize(Below(bytes->size() + 1));
      } else {
        const size_t at = Place(*bytes);
        bytes->erase(at, 1 + Below(std::min(kBlockBytesMax, bytes->size() + 1)));
      }
      break;
    default: {  // insert
      std::string block(1 + Below(64), static_cast<char>(Below(2) == 0 ? 0 : Below(256)));
      bytes->insert(Place(*bytes), block);
      break;
    }
  }
}

void Mutator::ChangeBytes(std::string* bytes) {
  if (bytes->empty()) return;
  const size_t at = Place(*bytes);
  char& byte = (*bytes)[at];
  switch (Below(4)) {
    case 0:
      byte = static_cast<char>(byte ^ (1 << Below(8)));
      break;
    case 1:
      byte = static_cast<char>(Below(256));
      break;
    case 2:
      byte = static_cast<char>(byte + static_cast<char>(Below(2 * kSmallStep + 1)) -
                               static_cast<char>(kSmallStep));
      break;
    default: {
      const size_t length = std::min<size_t>(1 + Below(16), bytes->size() - at);
      for (size_t i = 0; i < length; ++i) (*bytes)[at + i] = static_cast<char>(Below(256));
      break;
    }
  }
}

void Mutator::WriteEdgeValue(std::string* bytes) {
  const size_t width = size_t{1} << Below(4);
  if (bytes->size() < width) return;
  const size_t at = std::min(Place(*bytes), bytes->size() - width);
  uint64_t value = kEdges[Below(std::size(kEdges))];
  if (Below(3) == 0) {  // a number beside the one that stands there
    value = 0;
    std::memcpy(&value, bytes->data() + at, width);
    value += Below(2 * kSmallStep) - kSmallStep;
  }
  if (Below(8) == 0) value = __builtin_bswap64(value);
  std::memcpy(bytes->data() + at, &value, width);
}

void Mutator::RepeatBlock(std::string* bytes) {
  if (bytes->empty()) return;
  const size_t from = Place(*bytes);
  const size_t length = std::min<size_t>(1 + Below(kBlockBytesMax), bytes->size() - from);
  const std::string block = bytes->substr(from, length);
  if (Below(2) == 0) {  // over what stands elsewhere
    const size_t to = Below(bytes->size());
    bytes->replace(to, std::min(length, bytes->size() - to), block, 0,
                   std::min(length, bytes->size() - to));
    return;
  }
  const size_t to = Place(*bytes);
  for (uint64_t times = 1 + Below(4); times > 0; --times) bytes->insert(to, block);
}

}  // namespace marble::fuzz

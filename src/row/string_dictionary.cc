#include "row/string_dictionary.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <arrow/array/builder_binary.h>
#include <arrow/util/bitmap_ops.h>
#include <arrow/util/checked_cast.h>

#include "base/coding.h"

namespace marble {

namespace {

using arrow::internal::checked_cast;

constexpr size_t kBytesMax = 16;
constexpr size_t kDistinctMax = 1024;
constexpr size_t kSlotsMin = 64;
constexpr size_t kSlotsMax = 4 * kDistinctMax;

/// A string of up to 16 bytes as two words, filled with zeros behind its end.
struct ShortString {
  uint64_t low = 0;
  uint64_t high = 0;
  uint32_t size = 0;

  bool operator==(const ShortString&) const = default;
  /// Its upper bits depend on all of the string.
  uint64_t Hash() const { return (low ^ std::rotl(high, 29) ^ size) * 0x9E3779B97F4A7C15u; }
};

/// The first `size` bytes of a word, zeros behind them.
uint64_t Cut(uint64_t word, size_t size) {
  return size >= 8 ? word : word & ((uint64_t{1} << (8 * size)) - 1);
}

/// `end` is that of the memory that may be read.
ShortString MakeShort(const char* data, size_t size, const char* end) {
  ShortString made;
  made.size = static_cast<uint32_t>(size);
  if (static_cast<size_t>(end - data) >= kBytesMax) [[likely]] {
    made.low = Cut(LoadLittle<uint64_t>(data), size);
    made.high = size > 8 ? Cut(LoadLittle<uint64_t>(data + 8), size - 8) : 0;
    return made;
  }
  char bytes[kBytesMax] = {};
  if (size > 0) std::memcpy(bytes, data, size);
  made.low = LoadLittle<uint64_t>(bytes);
  made.high = LoadLittle<uint64_t>(bytes + 8);
  return made;
}

/// Numbers distinct strings of so many rows in the order in which they come.
class Numbers {
 public:
  explicit Numbers(int64_t rows)
      : slots_(std::clamp(std::bit_ceil(4 * static_cast<size_t>(rows)), kSlotsMin, kSlotsMax)),
        shift_(64 - std::countr_zero(slots_.size())) {}

  /// -1 for one too many.
  int32_t Of(const ShortString& string) {
    size_t at = string.Hash() >> shift_;
    while (slots_[at].number >= 0) {
      if (slots_[at].string == string) return slots_[at].number;
      at = (at + 1) & (slots_.size() - 1);
    }
    if (count_ == static_cast<int32_t>(kDistinctMax)) return -1;
    slots_[at] = {string, count_};
    return count_++;
  }
  int32_t count() const { return count_; }

 private:
  struct Slot {
    ShortString string;
    int32_t number = -1;
  };
  std::vector<Slot> slots_;  // a power of two of them
  int shift_;
  int32_t count_ = 0;
};

/// Fills `indices` and collects the first row of each value. False if this is not for us.
template <typename BinaryArray>
bool Number(const BinaryArray& array, int32_t* indices, std::vector<int64_t>* firsts) {
  Numbers numbers(array.length());
  const bool has_nulls = array.null_count() > 0;
  const auto& bytes = array.value_data();
  const char* base = bytes == nullptr ? "" : reinterpret_cast<const char*>(bytes->data());
  const char* end = bytes == nullptr ? base : base + bytes->size();
  for (int64_t i = 0; i < array.length(); ++i) {
    indices[i] = 0;
    if (has_nulls && array.IsNull(i)) continue;
    const auto size = static_cast<size_t>(array.value_length(i));
    if (size > kBytesMax) return false;
    const int32_t before = numbers.count();
    indices[i] = numbers.Of(MakeShort(base + array.value_offset(i), size, end));
    if (indices[i] < 0) return false;
    if (indices[i] == before) firsts->push_back(i);
  }
  return true;
}

template <typename BinaryArray>
arrow::Result<std::shared_ptr<arrow::DictionaryArray>> Encode(const BinaryArray& array,
                                                              arrow::MemoryPool* pool) {
  const int64_t rows = array.length();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> indices,
                        arrow::AllocateBuffer(rows * static_cast<int64_t>(sizeof(int32_t)), pool));
  std::vector<int64_t> firsts;
  auto* numbers = reinterpret_cast<int32_t*>(indices->mutable_data());
  if (!Number(array, numbers, &firsts)) return nullptr;
  using Builder = typename arrow::TypeTraits<typename BinaryArray::TypeClass>::BuilderType;
  Builder values(array.type(), pool);
  for (const int64_t row : firsts) ARROW_RETURN_NOT_OK(values.Append(array.GetView(row)));
  ARROW_ASSIGN_OR_RAISE(auto dictionary, values.Finish());
  std::shared_ptr<arrow::Buffer> validity;
  if (array.null_count() > 0) {
    ARROW_ASSIGN_OR_RAISE(validity, arrow::internal::CopyBitmap(pool, array.null_bitmap_data(),
                                                                array.offset(), rows));
  }
  auto data = arrow::ArrayData::Make(arrow::dictionary(arrow::int32(), array.type()), rows,
                                     {std::move(validity), std::move(indices)}, array.null_count());
  data->dictionary = dictionary->data();
  return std::make_shared<arrow::DictionaryArray>(std::move(data));
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::DictionaryArray>> EncodeShortStrings(const arrow::Array& array,
                                                                          arrow::MemoryPool* pool) {
  switch (array.type_id()) {
    case arrow::Type::STRING:
      return Encode(checked_cast<const arrow::StringArray&>(array), pool);
    case arrow::Type::BINARY:
      return Encode(checked_cast<const arrow::BinaryArray&>(array), pool);
    case arrow::Type::LARGE_STRING:
      return Encode(checked_cast<const arrow::LargeStringArray&>(array), pool);
    case arrow::Type::LARGE_BINARY:
      return Encode(checked_cast<const arrow::LargeBinaryArray&>(array), pool);
    default:
      return nullptr;
  }
}

}  // namespace marble

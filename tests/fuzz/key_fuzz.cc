// Encoded keys. The first byte chooses the columns; then keys, each behind its length in a byte.

#include <memory>
#include <string_view>
#include <vector>

#include <arrow/api.h>

#include "fuzz/fuzz_target.h"
#include "row/key_encoding.h"

namespace marble::fuzz {

namespace {

using arrow::field;

const std::vector<arrow::FieldVector>& KeySchemas() {
  static const std::vector<arrow::FieldVector> schemas = {
      {field("a", arrow::binary())},
      {field("a", arrow::utf8()), field("b", arrow::int64())},
      {field("a", arrow::large_binary()), field("b", arrow::large_utf8())},
      {field("a", arrow::int8()), field("b", arrow::uint64()), field("c", arrow::boolean())},
      {field("a", arrow::float16()), field("b", arrow::float32()), field("c", arrow::float64())},
      {field("a", arrow::decimal128(20, 3)), field("b", arrow::decimal256(40, 0))},
      {field("a", arrow::decimal32(5, 1)), field("b", arrow::decimal64(12, 2))},
      {field("a", arrow::fixed_size_binary(5)), field("b", arrow::binary())},
      {field("a", arrow::fixed_size_binary(1)), field("b", arrow::date32())},
      {field("a", arrow::date64()), field("b", arrow::time32(arrow::TimeUnit::MILLI)),
       field("c", arrow::time64(arrow::TimeUnit::NANO)),
       field("d", arrow::timestamp(arrow::TimeUnit::SECOND)),
       field("e", arrow::duration(arrow::TimeUnit::MICRO))},
  };
  return schemas;
}

const KeyCodec& CodecOf(size_t index) {
  static const auto codecs = [] {
    std::vector<std::shared_ptr<const KeyCodec>> made;
    for (const arrow::FieldVector& fields : KeySchemas()) {
      std::vector<int> columns(fields.size());
      for (size_t i = 0; i < columns.size(); ++i) columns[i] = static_cast<int>(i);
      auto codec = KeyCodec::Make(arrow::schema(fields), columns);
      FailUnlessOk(codec.status(), "a codec of ours");
      made.push_back(*std::move(codec));
    }
    return made;
  }();
  return *codecs[index % codecs.size()];
}

std::vector<std::string_view> Split(std::string_view bytes) {
  std::vector<std::string_view> keys;
  while (!bytes.empty()) {
    const size_t length = static_cast<uint8_t>(bytes[0]);
    keys.push_back(bytes.substr(1, length));
    bytes.remove_prefix(1 + keys.back().size());
  }
  return keys;
}

/// The keys of arrays, as strings.
std::vector<std::string> Encoded(const KeyCodec& codec, const arrow::ArrayVector& arrays) {
  const auto keys = codec.EncodeArrays(arrays);
  FailUnlessOk(keys.status(), "encoding what was decoded");
  std::vector<std::string> all;
  for (int64_t i = 0; i < keys->size(); ++i) all.emplace_back((*keys)[i]);
  return all;
}

}  // namespace

const int kSecondsMax = 1;

void Reseal(std::string*) {}

void CheckKeys(const KeyCodec& codec, const std::vector<std::string_view>& keys) {
  for (const std::string_view key : keys) static_cast<void>(codec.ToString(key));
  const auto arrays = codec.Decode(keys);
  if (!arrays.ok()) return;
  for (const auto& array : *arrays) FailUnlessOk(array->Validate(), "a decoded column");
  // A key that no encoder made (-0.0, another NaN) may become another, which stays.
  const std::vector<std::string> once = Encoded(codec, *arrays);
  const auto again = codec.Decode({once.begin(), once.end()});
  FailUnlessOk(again.status(), "decoding what was encoded");
  FailUnless(Encoded(codec, *again) == once, "a key changes by being decoded");
}

}  // namespace marble::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace marble::fuzz;  // NOLINT: extern "C" stands outside
  if (size == 0) return 0;
  const auto keys = Split({reinterpret_cast<const char*>(data) + 1, size - 1});
  CheckKeys(CodecOf(data[0]), keys);
  for (const auto& key : keys) CheckKeys(CodecOf(data[0]), {key});
  return 0;
}

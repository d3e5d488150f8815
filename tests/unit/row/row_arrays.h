// Random arrays of any type, and shorthands, for the tests of the row layer.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <arrow/api.h>

namespace marble::testing {

using Random = std::mt19937_64;

/// `length` random values that pass ValidateFull, about one in `null_every` of them null (0: none),
/// at an offset inside their buffers.
std::shared_ptr<arrow::Array> RandomArray(const std::shared_ptr<arrow::DataType>& type,
                                          int64_t length, Random* random, int null_every = 5);

/// A text of up to `length_max` bytes of UTF-8; zeros, high code points and long runs among them.
std::string RandomText(Random* random, int length_max = 40);

/// prefix + number. (gcc 12 warns falsely of `"x" + std::to_string(i)`.)
std::string Numbered(const char* prefix, int64_t number);

/// Arrow's JSON notation.
std::shared_ptr<arrow::Array> FromJson(const std::shared_ptr<arrow::DataType>& type,
                                       const std::string& json);

std::shared_ptr<arrow::RecordBatch> MakeBatch(const arrow::FieldVector& fields,
                                              const arrow::ArrayVector& columns);

/// SerializeBatch, in one piece.
std::shared_ptr<arrow::Buffer> Serialized(const arrow::RecordBatch& batch);

/// Every type that can be stored, with the nested ones among them.
std::vector<std::shared_ptr<arrow::DataType>> PayloadTypes();
/// Every type that can be a key.
std::vector<std::shared_ptr<arrow::DataType>> KeyTypes();

/// True if `a` row i equals `b` row j, NaN equal to NaN.
bool RowsEqual(const arrow::Array& a, int64_t i, const arrow::Array& b, int64_t j);

}  // namespace marble::testing

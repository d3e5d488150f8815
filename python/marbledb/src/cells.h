// Single values of Arrow arrays as Python objects and back, for rows that are looked up one at a
// time: pyarrow makes a scalar object, or a list and an array of it, for each value first, which
// takes longer than the lookup. The GIL is held in all of it.
#pragma once

#include <Python.h>
#include <datetime.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/checked_cast.h>

namespace marble_python {

template <typename Array>
PyObject* TextAt(const arrow::Array& array, int64_t row) {
  const auto view = arrow::internal::checked_cast<const Array&>(array).GetView(row);
  return PyUnicode_DecodeUTF8(view.data(), static_cast<Py_ssize_t>(view.size()), nullptr);
}

template <typename Array>
PyObject* BytesAt(const arrow::Array& array, int64_t row) {
  const auto view = arrow::internal::checked_cast<const Array&>(array).GetView(row);
  return PyBytes_FromStringAndSize(view.data(), static_cast<Py_ssize_t>(view.size()));
}

template <typename Array>
PyObject* SignedAt(const arrow::Array& array, int64_t row) {
  return PyLong_FromLongLong(arrow::internal::checked_cast<const Array&>(array).Value(row));
}

template <typename Array>
PyObject* UnsignedAt(const arrow::Array& array, int64_t row) {
  return PyLong_FromUnsignedLongLong(arrow::internal::checked_cast<const Array&>(array).Value(row));
}

template <typename Array>
PyObject* FloatAt(const arrow::Array& array, int64_t row) {
  return PyFloat_FromDouble(
      static_cast<double>(arrow::internal::checked_cast<const Array&>(array).Value(row)));
}

/// A datetime.datetime, which the module must have imported (PyDateTime_IMPORT); nullptr without an
/// error if it has a zone or nanoseconds, or is out of Python's range.
inline PyObject* MomentAt(const arrow::TimestampArray& array, int64_t row) {
  const auto& type = arrow::internal::checked_cast<const arrow::TimestampType&>(*array.type());
  if (!type.timezone().empty() || type.unit() == arrow::TimeUnit::NANO) return nullptr;
  const int64_t unit = type.unit() == arrow::TimeUnit::SECOND  ? 1
                       : type.unit() == arrow::TimeUnit::MILLI ? 1000
                                                               : 1000000;
  constexpr int64_t kFirstDay = -719162;  // 1 January of the year 1
  constexpr int64_t kLastDay = 2932896;   // 31 December of 9999
  const int64_t value = array.Value(row);
  const int64_t unit_day = 86400 * unit;
  const int64_t day = value / unit_day - (value % unit_day < 0 ? 1 : 0);
  if (day < kFirstDay || day > kLastDay) return nullptr;
  const int64_t within = value - day * unit_day;
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<int>(day)}}};
  const auto second = static_cast<int>(within / unit);
  return PyDateTime_FromDateAndTime(
      static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
      static_cast<int>(static_cast<unsigned>(date.day())), second / 3600, second / 60 % 60,
      second % 60, static_cast<int>(within % unit * (1000000 / unit)));
}

/// A new reference to what pyarrow's as_py() gives. Numbers, strings, bytes, times of day-to-day
/// use and nulls only: nullptr without an error for other types (with one if Python refuses).
inline PyObject* CellAt(const arrow::Array& array, int64_t row) {
  using arrow::Type;
  const Type::type type = array.type_id();
  if (type == Type::EXTENSION || type == Type::DICTIONARY) return nullptr;
  if (array.IsNull(row)) Py_RETURN_NONE;
  switch (type) {
    case Type::BOOL:
      return PyBool_FromLong(
          arrow::internal::checked_cast<const arrow::BooleanArray&>(array).Value(row));
    case Type::INT8:
      return SignedAt<arrow::Int8Array>(array, row);
    case Type::INT16:
      return SignedAt<arrow::Int16Array>(array, row);
    case Type::INT32:
      return SignedAt<arrow::Int32Array>(array, row);
    case Type::INT64:
      return SignedAt<arrow::Int64Array>(array, row);
    case Type::UINT8:
      return UnsignedAt<arrow::UInt8Array>(array, row);
    case Type::UINT16:
      return UnsignedAt<arrow::UInt16Array>(array, row);
    case Type::UINT32:
      return UnsignedAt<arrow::UInt32Array>(array, row);
    case Type::UINT64:
      return UnsignedAt<arrow::UInt64Array>(array, row);
    case Type::FLOAT:
      return FloatAt<arrow::FloatArray>(array, row);
    case Type::DOUBLE:
      return FloatAt<arrow::DoubleArray>(array, row);
    case Type::TIMESTAMP:
      return MomentAt(arrow::internal::checked_cast<const arrow::TimestampArray&>(array), row);
    case Type::STRING:
      return TextAt<arrow::StringArray>(array, row);
    case Type::LARGE_STRING:
      return TextAt<arrow::LargeStringArray>(array, row);
    case Type::BINARY:
      return BytesAt<arrow::BinaryArray>(array, row);
    case Type::LARGE_BINARY:
      return BytesAt<arrow::LargeBinaryArray>(array, row);
    default:
      return nullptr;
  }
}

/// An array of the one number, if it is in the type's range.
template <typename CType>
std::shared_ptr<arrow::Array> ArrayOfNumber(const std::shared_ptr<arrow::DataType>& type,
                                            PyObject* value) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow != 0 || (number < 0 && std::is_unsigned_v<CType>)) return nullptr;
  const auto narrow = static_cast<CType>(number);
  if (static_cast<long long>(narrow) != number) return nullptr;
  auto buffer = arrow::AllocateBuffer(sizeof(CType));
  if (!buffer.ok()) return nullptr;
  std::memcpy((*buffer)->mutable_data(), &narrow, sizeof(CType));
  return arrow::MakeArray(
      arrow::ArrayData::Make(type, 1, {nullptr, std::shared_ptr<arrow::Buffer>(*std::move(buffer))},
                             /*null_count=*/0));
}

template <typename Offset>
std::shared_ptr<arrow::Array> ArrayOfBytes(const std::shared_ptr<arrow::DataType>& type,
                                           const char* data, Py_ssize_t size) {
  if (size > std::numeric_limits<Offset>::max()) return nullptr;
  auto offsets = arrow::AllocateBuffer(2 * sizeof(Offset));
  auto bytes = arrow::AllocateBuffer(size);
  if (!offsets.ok() || !bytes.ok()) return nullptr;
  const Offset ends[2] = {0, static_cast<Offset>(size)};
  std::memcpy((*offsets)->mutable_data(), ends, sizeof(ends));
  if (size > 0) std::memcpy((*bytes)->mutable_data(), data, static_cast<size_t>(size));
  return arrow::MakeArray(
      arrow::ArrayData::Make(type, 1,
                             {nullptr, std::shared_ptr<arrow::Buffer>(*std::move(offsets)),
                              std::shared_ptr<arrow::Buffer>(*std::move(bytes))},
                             /*null_count=*/0));
}

/// An array of one value that is exactly an int, a str or bytes and fits the integer, string or
/// binary type; nullptr without an error for all else.
inline std::shared_ptr<arrow::Array> ArrayOfCell(const std::shared_ptr<arrow::DataType>& type,
                                                 PyObject* value) {
  using arrow::Type;
  const Type::type id = type->id();
  if (PyLong_CheckExact(value)) {
    if (id == Type::INT64) return ArrayOfNumber<int64_t>(type, value);
    if (id == Type::INT32) return ArrayOfNumber<int32_t>(type, value);
    if (id == Type::UINT64) return ArrayOfNumber<uint64_t>(type, value);
    if (id == Type::UINT32) return ArrayOfNumber<uint32_t>(type, value);
    return nullptr;
  }
  if (PyUnicode_CheckExact(value) && (id == Type::STRING || id == Type::LARGE_STRING)) {
    Py_ssize_t size = 0;
    const char* data = PyUnicode_AsUTF8AndSize(value, &size);
    if (data == nullptr) {
      PyErr_Clear();  // a lone surrogate: the long way says so
      return nullptr;
    }
    return id == Type::STRING ? ArrayOfBytes<int32_t>(type, data, size)
                              : ArrayOfBytes<int64_t>(type, data, size);
  }
  if (PyBytes_CheckExact(value) && (id == Type::BINARY || id == Type::LARGE_BINARY)) {
    const char* data = PyBytes_AS_STRING(value);
    const Py_ssize_t size = PyBytes_GET_SIZE(value);
    return id == Type::BINARY ? ArrayOfBytes<int32_t>(type, data, size)
                              : ArrayOfBytes<int64_t>(type, data, size);
  }
  return nullptr;
}

/// The batch of one key of common types: a value, or a tuple of them if the key has several
/// columns; nullptr without an error for all else.
inline std::shared_ptr<arrow::RecordBatch> BatchOfKey(const std::shared_ptr<arrow::Schema>& schema,
                                                      PyObject* key) {
  const int width = schema->num_fields();
  const bool is_tuple = PyTuple_CheckExact(key);
  if (width == 0 || is_tuple != (width > 1)) return nullptr;
  if (is_tuple && PyTuple_GET_SIZE(key) != width) return nullptr;
  arrow::ArrayVector columns;
  for (int i = 0; i < width; ++i) {
    auto column = ArrayOfCell(schema->field(i)->type(), is_tuple ? PyTuple_GET_ITEM(key, i) : key);
    if (column == nullptr) return nullptr;
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, 1, std::move(columns));
}

}  // namespace marble_python

// Single values of Arrow arrays as Python objects, for rows that are looked up one at a time:
// pyarrow makes a scalar object for each value first, which takes longer than the lookup.
#pragma once

#include <Python.h>

#include <cstdint>

#include <arrow/array.h>
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

/// A new reference to what pyarrow's as_py() gives. Numbers, strings, bytes and nulls only: nullptr
/// without an error for other types (with one if Python refuses). The GIL is held.
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

}  // namespace marble_python

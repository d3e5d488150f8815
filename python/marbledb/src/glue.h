// Small C++ for what Cython says badly: results into variables, option structs, spans, array views.
#pragma once

#include <Python.h>

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <arrow/util/checked_cast.h>

#include <marble/database.h>
#include <marble/key_value.h>
#include <marble/table.h>

namespace marble_python {

using SnapshotRef = std::shared_ptr<const marble::Snapshot>;

/// `arrow::Result` into `*out`, so that one Cython expression without the GIL does a whole call.
template <typename T>
arrow::Status Take(arrow::Result<T> result, T* out) {
  return std::move(result).Value(out);
}

inline int KindNumber(const arrow::Status& status) {
  return static_cast<int>(marble::KindOf(status));
}

inline std::string DetailFile(const arrow::Status& status) {
  const marble::ErrorDetail* detail = marble::DetailOf(status);
  return detail == nullptr ? std::string() : detail->file();
}

inline int64_t DetailOffset(const arrow::Status& status) {
  const marble::ErrorDetail* detail = marble::DetailOf(status);
  return detail == nullptr ? -1 : detail->offset();
}

/// `timeout` in seconds; negative waits as long as it takes.
inline marble::WriteOptions MakeWriteOptions(bool sync, double timeout) {
  marble::WriteOptions options;
  options.sync = sync;
  options.timeout =
      std::chrono::milliseconds(timeout < 0 ? -1 : static_cast<int64_t>(timeout * 1000.0));
  return options;
}

inline marble::ReadOptions MakeReadOptions(std::shared_ptr<const marble::Snapshot> snapshot) {
  return marble::ReadOptions{std::move(snapshot)};
}

inline arrow::Status DeleteRange(marble::KeyValue& kv, std::string_view begin, bool bounded,
                                 std::string_view end, const marble::WriteOptions& options) {
  std::optional<std::string_view> limit;
  if (bounded) limit = end;
  return kv.DeleteRange(begin, limit, options);
}

using Values = marble::PinnedValues;

inline arrow::Status MultiGet(const marble::KeyValue& kv, const std::vector<std::string_view>& keys,
                              const marble::ReadOptions& options, Values* out) {
  return kv.MultiGetPinned(std::span<const std::string_view>(keys), out, options);
}

/// Whether the i-th key is there, and its value. (Cython keeps a reference to what a call on a
/// temporary optional returns.)
inline bool IsThere(const Values& values, size_t i) { return values[i].has_value(); }
inline std::string_view ValueAt(const Values& values, size_t i) {
  return values[i].value_or(std::string_view());
}

/// Views into `array` (utf8, binary, and their large forms), which must be valid and without nulls.
/// The caller keeps `array`.
inline arrow::Status ViewsOf(const arrow::Array& array, std::vector<std::string_view>* out) {
  ARROW_RETURN_NOT_OK(array.ValidateFull());
  if (array.null_count() != 0) return arrow::Status::Invalid("keys must not be null");
  out->reserve(static_cast<size_t>(array.length()));
  const auto collect = [&](const auto& typed) {
    for (int64_t i = 0; i < typed.length(); ++i) out->push_back(typed.GetView(i));
  };
  switch (array.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      collect(arrow::internal::checked_cast<const arrow::BinaryArray&>(array));
      return arrow::Status::OK();
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      collect(arrow::internal::checked_cast<const arrow::LargeBinaryArray&>(array));
      return arrow::Status::OK();
    default:
      return arrow::Status::TypeError("keys must be strings or binary, not ",
                                      array.type()->ToString());
  }
}

/// The values as a large_binary array, absent ones null.
inline arrow::Status ArrayOf(const Values& values, std::shared_ptr<arrow::Array>* out) {
  arrow::LargeBinaryBuilder builder;
  int64_t bytes = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    bytes += static_cast<int64_t>(values[i].value_or(std::string_view()).size());
  }
  ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(values.size())));
  ARROW_RETURN_NOT_OK(builder.ReserveData(bytes));
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].has_value()) {
      builder.UnsafeAppend(*values[i]);
    } else {
      builder.UnsafeAppendNull();
    }
  }
  return builder.Finish(out);
}

/// Copies keys and values for KeyValue::PutMany, one by one.
class PairBuilder {
 public:
  arrow::Status Append(std::string_view key, std::string_view value) {
    ARROW_RETURN_NOT_OK(keys_.Append(key.data(), static_cast<int64_t>(key.size())));
    return values_.Append(value.data(), static_cast<int64_t>(value.size()));
  }
  arrow::Status Put(marble::KeyValue& kv, const marble::WriteOptions& options) {
    ARROW_ASSIGN_OR_RAISE(auto keys, keys_.Finish());
    ARROW_ASSIGN_OR_RAISE(auto values, values_.Finish());
    return kv.PutMany(*keys, *values, options);
  }

 private:
  arrow::LargeBinaryBuilder keys_;
  arrow::LargeBinaryBuilder values_;
};

/// Keys and values for KeyValue::PutMany where they lie, in Python objects that the caller keeps.
class PairViews {
 public:
  /// Adds the pairs of a list from `from` on as long as they are tuples of two bytes or str
  /// objects, and returns where it stopped. Needs the GIL.
  Py_ssize_t AddTuples(PyObject* list, Py_ssize_t from) {
    const Py_ssize_t size = PyList_GET_SIZE(list);
    keys_.reserve(static_cast<size_t>(size));
    values_.reserve(static_cast<size_t>(size));
    for (; from < size; ++from) {
      PyObject* pair = PyList_GET_ITEM(list, from);
      if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) break;
      std::string_view key;
      std::string_view value;
      if (!View(PyTuple_GET_ITEM(pair, 0), &key) || !View(PyTuple_GET_ITEM(pair, 1), &value)) break;
      Add(key, value);
    }
    return from;
  }
  void Add(std::string_view key, std::string_view value) {
    keys_.push_back(key);
    values_.push_back(value);
  }
  arrow::Status Put(marble::KeyValue& kv, const marble::WriteOptions& options) const {
    return kv.PutMany(keys_, values_, options);
  }

 private:
  static bool View(PyObject* object, std::string_view* out) {
    if (PyBytes_CheckExact(object)) {
      *out = {PyBytes_AS_STRING(object), static_cast<size_t>(PyBytes_GET_SIZE(object))};
      return true;
    }
    if (!PyUnicode_CheckExact(object)) return false;
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object, &size);
    if (text == nullptr) {
      PyErr_Clear();  // who takes this pair by itself meets the error again
      return false;
    }
    *out = {text, static_cast<size_t>(size)};
    return true;
  }

  std::vector<std::string_view> keys_;
  std::vector<std::string_view> values_;
};

}  // namespace marble_python

// Imports, exports and loads for Cython: the progress callback in Python, and errors that are
// Python's own.
#pragma once

#include <Python.h>

#include <functional>
#include <memory>

#include <arrow/python/common.h>

#include <marble/repair.h>
#include <marble/transfer.h>
#include <marble/verify.h>

namespace marble_python {

/// Calls `callback(rows, bytes, bytes_total)`; false cancels, and so does an exception, which goes
/// to `raised`. The caller holds both as long as the call lasts.
inline marble::ProgressCallback MakeProgress(PyObject* callback, arrow::Status* raised) {
  return [callback, raised](const marble::TransferProgress& now) {
    arrow::py::PyAcquireGIL gil;
    PyObject* const answer = PyObject_CallFunction(
        callback, "LLL", static_cast<long long>(now.rows), static_cast<long long>(now.bytes),
        static_cast<long long>(now.bytes_total));
    if (answer == nullptr) {
      *raised = arrow::py::ConvertPyError();
      return false;
    }
    // No answer is none to stop.
    const int truth = answer == Py_None ? 1 : PyObject_IsTrue(answer);
    Py_DECREF(answer);
    if (truth < 0) *raised = arrow::py::ConvertPyError();
    return truth > 0;
  };
}

/// Calls `callback(done, total)`, of `Progress`'s members; an exception ends what is told of, with
/// a status that is the exception. The caller holds the callback as long as that lasts.
template <typename Progress>
std::function<arrow::Status(const Progress&)> MakeWorkProgress(PyObject* callback,
                                                               int64_t Progress::* done,
                                                               int64_t Progress::* total) {
  return [=](const Progress& now) {
    arrow::py::PyAcquireGIL gil;
    PyObject* const answer = PyObject_CallFunction(
        callback, "LL", static_cast<long long>(now.*done), static_cast<long long>(now.*total));
    if (answer == nullptr) return arrow::py::ConvertPyError();
    Py_DECREF(answer);
    return arrow::Status::OK();
  };
}

inline auto MakeVerifyProgress(PyObject* callback) {
  return MakeWorkProgress(callback, &marble::VerifyProgress::bytes_done,
                          &marble::VerifyProgress::bytes);
}
inline auto MakeRepairProgress(PyObject* callback) {
  return MakeWorkProgress(callback, &marble::RepairProgress::rows_done,
                          &marble::RepairProgress::rows);
}

/// Did Python code that was called raise this?
inline bool IsPythonError(const arrow::Status& status) { return arrow::py::IsPyError(status); }

}  // namespace marble_python

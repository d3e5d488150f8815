// Imports, exports and loads for Cython: the progress callback in Python, and errors that are
// Python's own.
#pragma once

#include <Python.h>

#include <memory>

#include <arrow/python/common.h>

#include <marble/transfer.h>

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

/// Did Python code that was called raise this?
inline bool IsPythonError(const arrow::Status& status) { return arrow::py::IsPyError(status); }

}  // namespace marble_python

// Imports, exports and loads for Cython: the progress callback in Python, and errors that are
// Python's own.
#pragma once

#include <Python.h>

#include <memory>

#include <arrow/python/common.h>

#include <marble/transfer.h>

namespace marble_python {

/// Calls `callback(rows, bytes, bytes_total)`; false cancels. The caller holds the callback as long
/// as the call lasts.
inline marble::ProgressCallback MakeProgress(PyObject* callback, bool* raised) {
  return [callback, raised](const marble::TransferProgress& now) {
    arrow::py::PyAcquireGIL gil;
    PyObject* const answer = PyObject_CallFunction(
        callback, "LLL", static_cast<long long>(now.rows), static_cast<long long>(now.bytes),
        static_cast<long long>(now.bytes_total));
    if (answer == nullptr) {
      // Stays set in this thread until the call returns, and ends it.
      *raised = true;
      return false;
    }
    const bool go_on = answer != Py_False;
    Py_DECREF(answer);
    return go_on;
  };
}

}  // namespace marble_python

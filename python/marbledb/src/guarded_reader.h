// The reader handed to pyarrow and, through the C stream interface, to other libraries. It turns
// Marble's errors into Python exceptions that pyarrow raises as they are, and leaks in a forked
// child.
#pragma once

#include <Python.h>

#include <memory>
#include <utility>

#include <arrow/python/common.h>
#include <arrow/record_batch.h>

#include <marble/error.h>

#include "fork_guard.h"

namespace marble_python {

/// Makes the exception of a status: a new reference, or nullptr with a Python error set. Called
/// with the GIL. Set once at import.
using ExceptionMaker = PyObject* (*)(const arrow::Status&);
inline ExceptionMaker g_exception_maker = nullptr;
inline void SetExceptionMaker(ExceptionMaker maker) { g_exception_maker = maker; }

/// `status` as one that pyarrow turns back into our exception.
inline arrow::Status ToPythonStatus(const arrow::Status& status) {
  if (arrow::py::IsPyError(status) || g_exception_maker == nullptr || Py_IsInitialized() == 0) {
    return status;
  }
  arrow::py::PyAcquireGIL gil;
  if (PyObject* exception = g_exception_maker(status)) {
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception)), exception);
    Py_DECREF(exception);
  }
  return arrow::py::ConvertPyError(status.code());
}

/// Does this thread hold the GIL?
inline bool HasGil() {
#if PY_VERSION_HEX >= 0x030D0000
  return PyThreadState_GetUnchecked() != nullptr;
#else
  // Before 3.12 the current state is that of whatever thread holds the GIL. (PyGILState_Check says
  // yes to everybody once there are subinterpreters.)
  PyThreadState* const mine = PyGILState_GetThisThreadState();
  return mine != nullptr && mine == _PyThreadState_UncheckedGet();
#endif
}

class GuardedReader : public arrow::RecordBatchReader {
 public:
  explicit GuardedReader(std::shared_ptr<arrow::RecordBatchReader> inner)
      : inner_(std::move(inner)), generation_(ForkGeneration()) {}
  ~GuardedReader() override {
    if (generation_ != ForkGeneration()) {
      Leak(inner_);
    } else if (Py_IsInitialized() != 0 && HasGil()) {
      // It waits for what is read ahead, and a filter that calls Python waits for the GIL.
      PyThreadState* const state = PyEval_SaveThread();
      inner_.reset();
      PyEval_RestoreThread(state);
    }
  }

  std::shared_ptr<arrow::Schema> schema() const override { return inner_->schema(); }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    if (generation_ != ForkGeneration()) {
      return ToPythonStatus(marble::ClosedError("the reader belongs to the parent process"));
    }
    const arrow::Status status = inner_->ReadNext(batch);
    return status.ok() ? status : ToPythonStatus(status);
  }

  arrow::Status Close() override {
    if (generation_ != ForkGeneration()) return arrow::Status::OK();
    return inner_->Close();
  }

 private:
  std::shared_ptr<arrow::RecordBatchReader> inner_;
  const int generation_;
};

inline std::shared_ptr<arrow::RecordBatchReader> Guard(
    std::shared_ptr<arrow::RecordBatchReader> reader) {
  return std::make_shared<GuardedReader>(std::move(reader));
}

}  // namespace marble_python

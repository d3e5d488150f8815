// Batches of a reader as futures: it is read on an executor, some batches ahead of whoever asks.
#pragma once

#include <functional>
#include <memory>

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/util/future.h>
#include <arrow/util/thread_pool.h>

namespace marble {

using BatchGenerator = std::function<arrow::Future<std::shared_ptr<arrow::RecordBatch>>()>;
using OpenReader = std::function<arrow::Result<std::shared_ptr<arrow::RecordBatchReader>>()>;

/// `open` is called and its reader read by one task on `executor` at a time, one batch a task,
/// while somebody waits or fewer than `batches_ahead` batches wait. The end is a null batch; an
/// error is given out once, in its place, and ends it. The generator may be called again before its
/// futures are finished. When its last copy goes, reading stops after the batch under way; futures
/// that are outstanding are finished all the same.
BatchGenerator ReadOnExecutor(OpenReader open, arrow::internal::Executor* executor,
                              int batches_ahead);

/// Reads when called, on the caller's thread. Not thread-safe.
BatchGenerator ReadWhenCalled(OpenReader open);

}  // namespace marble

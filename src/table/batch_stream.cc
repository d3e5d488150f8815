#include "table/batch_stream.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "base/mutex.h"

namespace marble {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;
using BatchFuture = arrow::Future<BatchPtr>;

/// Opens at the first call; gives up the reader at its end and after an error.
class LazyReader {
 public:
  explicit LazyReader(OpenReader open) : open_(std::move(open)) {}

  arrow::Result<BatchPtr> Next() {
    auto next = ReadNext();
    if (!next.ok() || *next == nullptr) reader_.reset();
    return next;
  }

 private:
  arrow::Result<BatchPtr> ReadNext() {
    if (open_ != nullptr) {
      const OpenReader open = std::exchange(open_, nullptr);
      ARROW_ASSIGN_OR_RAISE(reader_, open());
    }
    if (reader_ == nullptr) return nullptr;
    return reader_->Next();
  }

  OpenReader open_;
  std::shared_ptr<arrow::RecordBatchReader> reader_;
};

/// Thread-safe.
class BatchStream : public std::enable_shared_from_this<BatchStream> {
 public:
  BatchStream(OpenReader open, arrow::internal::Executor* executor, size_t batches_ahead)
      : executor_(executor), batches_ahead_(batches_ahead), reader_(std::move(open)) {}

  BatchFuture Next() {
    BatchFuture future;
    bool start = false;
    {
      MutexLock lock(&mutex_);
      if (!ready_.empty()) {
        future = BatchFuture::MakeFinished(std::move(ready_.front()));
        ready_.pop_front();
      } else if (ended_) {
        future = BatchFuture::MakeFinished(nullptr);
      } else {
        future = BatchFuture::Make();
        waiting_.push_back(future);
      }
      start = Begin();
    }
    if (start) Submit();
    return future;
  }

  /// Nobody will ask any more.
  void Stop() {
    MutexLock lock(&mutex_);
    stopped_ = true;
    ready_.clear();
  }

 private:
  /// Is a task to be submitted? Then it counts as under way.
  bool Begin() MARBLE_REQUIRES(mutex_) {
    const bool wanted = !waiting_.empty() || (!stopped_ && ready_.size() < batches_ahead_);
    if (under_way_ || ended_ || !wanted) return false;
    under_way_ = true;
    return true;
  }

  void Submit() {
    const arrow::Status status = executor_->Spawn([self = shared_from_this()] { self->Read(); });
    if (!status.ok()) Deliver(status);
  }

  void Read() { Deliver(reader_.Next()); }

  /// Hands out what the task under way has read. Futures are finished without the lock, because
  /// what waits for them runs here and may call Next.
  void Deliver(arrow::Result<BatchPtr> result) {
    std::deque<BatchFuture> finished;
    bool start = false;
    {
      MutexLock lock(&mutex_);
      under_way_ = false;
      ended_ = !result.ok() || *result == nullptr;
      if (ended_) {
        finished.swap(waiting_);
      } else if (!waiting_.empty()) {
        finished.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      if (finished.empty() && !stopped_) ready_.push_back(result);
      start = Begin();
    }
    if (start) Submit();
    for (BatchFuture& future : finished) {
      future.MarkFinished(std::exchange(result, BatchPtr()));
    }
  }

  arrow::internal::Executor* const executor_;
  const size_t batches_ahead_;
  LazyReader reader_;  // used by the task under way alone

  Mutex mutex_;
  bool under_way_ MARBLE_GUARDED_BY(mutex_) = false;
  bool ended_ MARBLE_GUARDED_BY(mutex_) = false;
  bool stopped_ MARBLE_GUARDED_BY(mutex_) = false;
  // What comes next is for these; ready_ is empty while somebody waits.
  std::deque<BatchFuture> waiting_ MARBLE_GUARDED_BY(mutex_);
  std::deque<arrow::Result<BatchPtr>> ready_ MARBLE_GUARDED_BY(mutex_);
};

/// Shared by the copies of a generator.
class StreamHandle {
 public:
  explicit StreamHandle(std::shared_ptr<BatchStream> stream) : stream_(std::move(stream)) {}
  ~StreamHandle() { stream_->Stop(); }
  StreamHandle(const StreamHandle&) = delete;
  StreamHandle& operator=(const StreamHandle&) = delete;
  BatchFuture Next() const { return stream_->Next(); }

 private:
  const std::shared_ptr<BatchStream> stream_;
};

}  // namespace

BatchGenerator ReadOnExecutor(OpenReader open, arrow::internal::Executor* executor,
                              int batches_ahead) {
  auto stream = std::make_shared<BatchStream>(std::move(open), executor,
                                              static_cast<size_t>(std::max(batches_ahead, 0)));
  return
      [handle = std::make_shared<const StreamHandle>(std::move(stream))] { return handle->Next(); };
}

BatchGenerator ReadWhenCalled(OpenReader open) {
  return [reader = std::make_shared<LazyReader>(std::move(open))] {
    return BatchFuture::MakeFinished(reader->Next());
  };
}

}  // namespace marble

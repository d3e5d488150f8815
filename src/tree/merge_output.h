// The batch that a merge is putting together: slices of source batches, which are gathered when it
// is complete.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include "base/helper_threads.h"
#include "row/row_list.h"
#include "tree/merge_input.h"

namespace marble {

struct MergeOutputOptions {
  std::shared_ptr<arrow::Schema> schema;
  /// Rows come in ascending order and their keys are wanted.
  bool with_keys = true;
  /// Sequences and kinds are wanted.
  bool with_versions = false;
  /// At most one row a key is added.
  bool single_version = true;
  /// The column whose bytes are the keys; -1 if keys are encoded otherwise.
  int key_column = -1;
  arrow::MemoryPool* pool = nullptr;
  /// Gather some of the columns; nullptr for none.
  Helpers* helpers = nullptr;
};

/// Rows that a merge has chosen, and not copied yet. Keeps the source batches alive.
class ChosenRows {
 public:
  /// A batch that needs no copy, in the form in which it is to be delivered.
  explicit ChosenRows(RowBatch batch) : batch_(std::move(batch)) {}
  /// `options` must outlive it.
  ChosenRows(const MergeOutputOptions* options, std::vector<RowBatch> sources, RowList rows,
             int64_t bytes)
      : options_(options), sources_(std::move(sources)), rows_(std::move(rows)), bytes_(bytes) {}

  /// Is it worth handing parts of the work to other threads?
  bool is_large() const {
    constexpr int64_t kManyRows = 4096;
    constexpr int64_t kManyBytes = 256 * 1024;
    return (batch_.has_value() ? batch_->num_rows() : rows_->rows()) >= kManyRows ||
           bytes_ >= kManyBytes;
  }

  /// The batch, once. On any thread, also while the merge chooses others.
  arrow::Result<RowBatch> Gather() &&;

 private:
  std::optional<RowBatch> batch_;
  const MergeOutputOptions* options_ = nullptr;
  std::vector<RowBatch> sources_;
  std::optional<RowList> rows_;  // unless there is a batch
  int64_t bytes_ = 0;            // an estimate
};

/// Owned by the merge, used by one thread.
class MergeOutput {
 public:
  using Options = MergeOutputOptions;
  explicit MergeOutput(Options options) : options_(std::move(options)), rows_(options_.pool) {}

  int64_t rows() const { return rows_.rows(); }
  /// It should be delivered before it has more sources than can be told apart.
  bool has_many_sources() const { return has_many_sources_; }
  /// Estimate of the gathered bytes.
  int64_t bytes() const { return bytes_; }
  /// Bytes of batches that are held only because of rows taken from them.
  int64_t superseded_bytes() const { return superseded_bytes_; }

  /// Adds `count` rows of the input's batch from row `start` on, to come out last to first if
  /// `descending`.
  void Add(MergeInput* input, int64_t start, int64_t count, bool descending) {
    if (input->output_round != round_) Adopt(input);
    bytes_ += count * input->row_bytes();
    rows_.Add(input->output_source, start, count, descending);
  }
  /// Makes the input's batch one of the output's sources, so that its rows can be added after it
  /// has moved on.
  void Adopt(MergeInput* input);
  /// The input is about to leave its batch.
  void NoteSuperseded(MergeInput* input) {
    if (input->output_round == round_) superseded_bytes_ += input->batch_bytes();
  }

  /// Forgets rows and sources.
  void Clear();
  /// The collected rows; leaves the output empty.
  ChosenRows Take();
  /// Rows [start, start + length) of `batch`, not copied.
  ChosenRows PassThrough(const RowBatch& batch, int64_t start, int64_t length) const;

 private:
  const Options options_;
  std::vector<RowBatch> sources_;
  RowList rows_;
  int64_t bytes_ = 0;
  int64_t superseded_bytes_ = 0;
  bool has_many_sources_ = false;
  uint64_t round_ = 1;  // inputs start with 0: their batches are not among the sources
};

}  // namespace marble

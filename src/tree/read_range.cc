// Range reads over a view (ReadRange of table_view.h): which sources concern the range, and how
// they come together.
#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/early_work.h"
#include "tree/merge_reader.h"
#include "tree/run_reader.h"
#include "tree/table_view.h"
#include "tree/view_tombstones.h"

namespace marble {
namespace {

/// Keeps the view that a reader works on.
class ViewReader : public SortedReader {
 public:
  ViewReader(std::shared_ptr<const TableView> view, std::unique_ptr<SortedReader> reader)
      : view_(std::move(view)), reader_(std::move(reader)) {}

  arrow::Result<std::optional<RowBatch>> Next() override { return reader_->Next(); }

 private:
  const std::shared_ptr<const TableView> view_;
  const std::unique_ptr<SortedReader> reader_;
};

/// Large batches from the second one on have the next one made early: a read of few rows ends
/// before, and a hand-over between threads costs nothing beside them.
constexpr int64_t kLoneBatches = 1;

/// Has helpers gather the next batch, and choose the rows of the one behind it, while the caller is
/// busy with the one before.
class AheadReader : public SortedReader {
 public:
  AheadReader(std::unique_ptr<MergedReader> reader, Helpers* helpers)
      : reader_(std::move(reader)), helpers_(helpers) {}

  arrow::Result<std::optional<RowBatch>> Next() override {
    ARROW_RETURN_NOT_OK(failed_);
    auto batch = next_.has_value() ? next_->Take() : MakeNext(/*ahead=*/false);
    next_.reset();
    failed_ = batch.status();
    if (!batch.ok() || !batch->has_value()) return batch;
    ++batches_;
    if (batches_ > kLoneBatches && was_large_) {
      next_.emplace([this] { return MakeNext(/*ahead=*/true); }, helpers_);
    }
    return batch;
  }

 private:
  using Batch = arrow::Result<std::optional<RowBatch>>;
  using Chosen = arrow::Result<std::optional<ChosenRows>>;

  /// One at a time, by whoever does it. `ahead`: a helper is asked to choose the rows after these.
  Batch MakeNext(bool ahead) {
    Chosen chosen = chosen_.has_value() ? chosen_->Take() : reader_->NextChosen();
    chosen_.reset();
    ARROW_RETURN_NOT_OK(chosen.status());
    if (!chosen->has_value()) return std::nullopt;
    was_large_ = (*chosen)->is_large();
    if (ahead) chosen_.emplace([this] { return reader_->NextChosen(); }, helpers_);
    return (**std::move(chosen)).Gather();
  }

  const std::unique_ptr<MergedReader> reader_;
  Helpers* const helpers_;
  int64_t batches_ = 0;  // delivered
  arrow::Status failed_;
  bool was_large_ = false;                   // the batch that was made last
  std::optional<EarlyWork<Chosen>> chosen_;  // uses reader_
  std::optional<EarlyWork<Batch>> next_;     // uses all of these
};

arrow::Result<std::unique_ptr<SortedReader>> OpenSource(
    const Source& source, const ReadRequest& request,
    const std::shared_ptr<const RangeTombstoneSet>& tombstones) {
  if (source.memtable != nullptr) return source.memtable->NewReader(request);
  return NewRunReader(source.run, request, tombstones);
}

/// One source after the other, each opened when it is reached: an append table, whose sources are
/// disjoint.
class Concatenation : public SortedReader {
 public:
  Concatenation(std::vector<Source> sources, ReadRequest request)
      : sources_(std::move(sources)), request_(std::move(request)) {}

  arrow::Result<std::optional<RowBatch>> Next() override {
    for (;;) {
      if (reader_ == nullptr) {
        if (next_ == sources_.size()) return std::nullopt;
        ARROW_ASSIGN_OR_RAISE(reader_, OpenSource(sources_[next_], request_, nullptr));
        ++next_;
      }
      ARROW_ASSIGN_OR_RAISE(std::optional<RowBatch> rows, reader_->Next());
      if (rows.has_value()) return rows;
      reader_.reset();
    }
  }

 private:
  const std::vector<Source> sources_;
  const ReadRequest request_;
  size_t next_ = 0;
  std::unique_ptr<SortedReader> reader_;
};

/// May the source hold rows or tombstones of the range that `snapshot` sees?
bool Concerns(const Source& source, const EncodedRange& range, uint64_t snapshot) {
  if (source.memtable != nullptr) return source.memtable->Concerns(snapshot);
  const auto [begin, end] = FilesInRange(*source.run, range);
  for (size_t i = begin; i < end; ++i) {
    const FileMeta& meta = source.run->files[i]->meta();
    if (meta.sequence_min <= snapshot || meta.range_tombstones > 0) return true;
  }
  return false;
}

/// Keys from `smallest` to `largest`.
struct KeySpan {
  std::string_view smallest;
  std::string_view largest;
};

/// All keys that a run has in files of the range; nullopt if there are none.
std::optional<KeySpan> SpanOf(const Run& run, const EncodedRange& range) {
  const auto [begin, end] = FilesInRange(run, range);
  if (begin == end) return std::nullopt;
  return KeySpan{run.files[begin]->meta().smallest, run.files[end - 1]->meta().largest};
}

/// For each source: does none of its rows hide one of an older source? Then rows that are not
/// wanted can be left out before the merge. (A row that no filter keeps may hide one that it would
/// keep.)
std::vector<bool> HideNothing(const std::vector<Source>& sources, const EncodedRange& range) {
  std::vector<bool> hide_nothing(sources.size(), false);
  std::vector<KeySpan> older;
  for (size_t i = sources.size(); i-- > 0;) {
    if (sources[i].memtable != nullptr) break;  // memtables are newest, and their keys not known
    const auto span = SpanOf(*sources[i].run, range);
    if (!span.has_value()) continue;
    hide_nothing[i] = std::ranges::none_of(older, [&](const KeySpan& other) {
      return span->smallest <= other.largest && other.smallest <= span->largest;
    });
    older.push_back(*span);
  }
  return hide_nothing;
}

}  // namespace

arrow::Result<std::unique_ptr<SortedReader>> ReadRange(std::shared_ptr<const TableView> view,
                                                       ReadRequest request, int64_t batch_rows_max,
                                                       int64_t batch_rows_first) {
  arrow::FieldVector fields;
  for (const int column : request.columns) {
    fields.push_back(view->schema->stored_schema()->field(column));
  }
  MergeReadOptions options;
  options.schema = arrow::schema(std::move(fields));
  options.snapshot = request.snapshot;
  options.direction = request.direction;
  options.batch_rows_max = batch_rows_max;
  options.batch_rows_first = batch_rows_first;
  options.want_keys = request.want_keys;
  options.pool = view->pool;

  std::vector<Source> sources;
  if (!request.range.IsEmpty()) {
    std::copy_if(
        view->sources.begin(), view->sources.end(), std::back_inserter(sources),
        [&](const Source& source) { return Concerns(source, request.range, request.snapshot); });
  }
  std::vector<std::unique_ptr<SortedReader>> readers;
  if (view->schema->is_append()) {
    if (request.direction == Direction::kForward) std::reverse(sources.begin(), sources.end());
    readers.push_back(std::make_unique<Concatenation>(std::move(sources), std::move(request)));
  } else {
    ARROW_ASSIGN_OR_RAISE(options.tombstones,
                          CollectTombstones(sources, request.range, request.snapshot));
    // A run that is alone passes through: nothing is compared, so its keys need not be read (and it
    // gives those of blocks with several versions of a key unasked).
    const bool lone_run = sources.size() == 1 && sources[0].run != nullptr;
    if (!lone_run || options.tombstones != nullptr) request.want_keys = true;
    if (!lone_run) options.helpers = request.helpers;
    const auto filter = std::move(request.filter);
    const std::vector<bool> hide_nothing = HideNothing(sources, request.range);
    for (size_t i = 0; i < sources.size(); ++i) {
      request.filter = hide_nothing[i] ? filter : nullptr;
      ARROW_ASSIGN_OR_RAISE(std::unique_ptr<SortedReader> reader,
                            OpenSource(sources[i], request, options.tombstones));
      readers.push_back(std::move(reader));
    }
  }
  Helpers* const helpers = options.helpers;
  ARROW_ASSIGN_OR_RAISE(auto merged, MergeForRead(std::move(readers), std::move(options)));
  std::unique_ptr<SortedReader> reader;
  if (helpers == nullptr) {
    reader = std::move(merged);
  } else {
    reader = std::make_unique<AheadReader>(std::move(merged), helpers);
  }
  return std::make_unique<ViewReader>(std::move(view), std::move(reader));
}

}  // namespace marble

#include "tree/row_count.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tree/run_reader.h"

namespace marble {
namespace {

/// The rows and tombstones of a file or of a memtable.
struct Part {
  EncodedRange range;               // holds all of them
  const TableFile* file = nullptr;  // nullptr: a memtable's
};

/// What `request` asks for of the memtable, as a range of rows; nullopt if there are none.
arrow::Result<std::optional<EncodedRange>> RowsIn(const Memtable& memtable, ReadRequest request) {
  ARROW_ASSIGN_OR_RAISE(const auto forward, memtable.NewReader(request));
  ARROW_ASSIGN_OR_RAISE(const auto first, forward->Next());
  if (!first.has_value()) return std::nullopt;
  request.direction = Direction::kReverse;
  ARROW_ASSIGN_OR_RAISE(const auto reverse, memtable.NewReader(request));
  ARROW_ASSIGN_OR_RAISE(const auto last, reverse->Next());
  return EncodedRange{std::string(first->keys[0]), Successor(last->keys[last->num_rows() - 1])};
}

arrow::Status AddMemtable(const Memtable& memtable, const EncodedRange& range, uint64_t snapshot,
                          std::vector<Part>* parts) {
  if (!memtable.Concerns(snapshot)) return arrow::Status::OK();
  ReadRequest request;
  request.range = range;
  request.snapshot = snapshot;
  request.batch_rows = 1;
  ARROW_ASSIGN_OR_RAISE(auto rows, RowsIn(memtable, std::move(request)));
  if (rows.has_value()) parts->push_back({*std::move(rows), nullptr});
  const auto tombstones = memtable.range_tombstones().Set();
  if (tombstones->empty()) return arrow::Status::OK();
  const auto& fragments = tombstones->fragments();
  EncodedRange deleted{std::string(fragments.front().begin), std::nullopt};
  if (fragments.back().end.has_value()) deleted.upper = std::string(*fragments.back().end);
  parts->push_back({std::move(deleted), nullptr});
  return arrow::Status::OK();
}

/// All parts that may have something of the range, ascending by their lowest key.
arrow::Result<std::vector<Part>> PartsIn(const TableView& view, const EncodedRange& range,
                                         uint64_t snapshot) {
  std::vector<Part> parts;
  for (const Source& source : view.sources) {
    if (source.memtable != nullptr) {
      ARROW_RETURN_NOT_OK(AddMemtable(*source.memtable, range, snapshot, &parts));
      continue;
    }
    const auto [begin, end] = FilesInRange(*source.run, range);
    for (size_t i = begin; i < end; ++i) {
      const FileMeta& meta = source.run->files[i]->meta();
      if (meta.sequence_min > snapshot && meta.range_tombstones == 0) continue;
      parts.push_back({RangeOf(meta), source.run->files[i].get()});
    }
  }
  std::ranges::sort(parts, {}, [](const Part& part) { return std::string_view(part.range.lower); });
  return parts;
}

/// Collects what is counted and what is not, in key order.
class Counter {
 public:
  /// `range` is to be read.
  void Leave(EncodedRange range) {
    if (range.IsEmpty()) return;
    if (joins_) {
      count_.unread.back().upper = std::move(range.upper);
    } else {
      count_.unread.push_back(std::move(range));
    }
    joins_ = true;
  }
  /// All rows of the file that lie in `range`, which meets its own. No other source has any there.
  arrow::Status AddFile(const TableFile& file, const EncodedRange& range, uint64_t snapshot,
                        bool is_append);
  RowCount Finish() && { return std::move(count_); }

 private:
  void Count(int64_t rows) {
    count_.rows += rows;
    joins_ = joins_ && rows == 0;
  }

  RowCount count_;
  bool joins_ = false;  // the last thing that was done: nothing was counted since
};

arrow::Status Counter::AddFile(const TableFile& file, const EncodedRange& range, uint64_t snapshot,
                               bool is_append) {
  const FileMeta& meta = file.meta();
  const EncodedRange own = RangeOf(meta);
  const EncodedRange wanted = Intersection(range, own);
  if (meta.range_tombstones > 0 || meta.sequence_max > snapshot) {
    Leave(wanted);
    return arrow::Status::OK();
  }
  ARROW_ASSIGN_OR_RAISE(const SstReader* reader, file.reader());
  if (!reader->HasOnePutAKey()) {
    Leave(wanted);
    return arrow::Status::OK();
  }
  int64_t begin = 0;
  int64_t end = reader->num_blocks();
  if (own.lower < range.lower) {
    ARROW_ASSIGN_OR_RAISE(begin, reader->FindBlock(range.lower));
  }
  if (EndsBehind(own, range)) {
    ARROW_ASSIGN_OR_RAISE(end, reader->FindBlock(*range.upper));
  }
  // Blocks before `begin` end before the range, those before `end` end in it.
  EncodedRange cut = wanted;
  if (begin < end) {
    ARROW_ASSIGN_OR_RAISE(std::string first, FirstKeyOf(*reader, begin, is_append));
    if (first < wanted.lower) {
      ++begin;
      if (begin < reader->num_blocks()) {
        ARROW_ASSIGN_OR_RAISE(cut.upper, FirstKeyOf(*reader, begin, is_append));
      }
      Leave(Intersection(wanted, cut));
    }
    Count(reader->BlockFirstRow(end) - reader->BlockFirstRow(begin));
    if (end == reader->num_blocks()) return arrow::Status::OK();
    ARROW_ASSIGN_OR_RAISE(cut.lower, FirstKeyOf(*reader, end, is_append));
    cut.upper = wanted.upper;
  }
  Leave(std::move(cut));
  return arrow::Status::OK();
}

}  // namespace

arrow::Result<RowCount> CountFromMetadata(const TableView& view, const EncodedRange& range,
                                          uint64_t snapshot) {
  Counter counter;
  if (range.IsEmpty()) return std::move(counter).Finish();
  ARROW_ASSIGN_OR_RAISE(const std::vector<Part> parts, PartsIn(view, range, snapshot));
  for (size_t begin = 0, end = 0; begin < parts.size(); begin = end) {
    // Parts that overlap, or are held together by others that do.
    EncodedRange together = parts[begin].range;
    for (end = begin + 1; end < parts.size(); ++end) {
      if (together.upper.has_value() && parts[end].range.lower >= *together.upper) break;
      if (EndsBehind(parts[end].range, together)) together.upper = parts[end].range.upper;
    }
    const TableFile* const lone = end == begin + 1 ? parts[begin].file : nullptr;
    if (lone == nullptr) {
      counter.Leave(Intersection(range, together));
    } else {
      ARROW_RETURN_NOT_OK(counter.AddFile(*lone, range, snapshot, view.schema->is_append()));
    }
  }
  return std::move(counter).Finish();
}

}  // namespace marble

#include "tree/compaction_job.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/warn.h"
#include "sst/sst_writer.h"
#include "tree/file_names.h"
#include "tree/merge_reader.h"
#include "tree/run_reader.h"

namespace marble {

namespace {

/// The sequence in files whose rows are not committed yet. Any number will do: the commit puts its
/// own into the manifest's record.
constexpr uint64_t kBulkSequence = 1;

/// How the rows are stored in the output files.
struct RowLayout {
  bool with_kinds = false;
  std::optional<uint64_t> constant_sequence;
  std::optional<uint64_t> newest_sequence;  // see SstWriterOptions
  std::optional<Compression> compression;   // nullopt: the table's
};

/// Cuts the sorted rows of a range, and the tombstones between them, into files of about the target
/// size.
class FileCutter {
 public:
  FileCutter(const OutputContext& context, const RowLayout& layout, RangeTombstoneSet tombstones,
             EncodedRange range, int64_t file_bytes)
      : context_(context),
        layout_(layout),
        tombstones_(std::move(tombstones)),
        lower_(std::move(range.lower)),
        upper_(std::move(range.upper)),
        file_bytes_(file_bytes) {}

  arrow::Status Add(const RowBatch& rows) {
    if (writer_ != nullptr && writer_->estimated_bytes() >= file_bytes_) {
      ARROW_RETURN_NOT_OK(FinishFile(std::string(rows.keys[0])));
    }
    if (writer_ == nullptr) {
      const bool append = context_.schema->is_append();
      ARROW_RETURN_NOT_OK(StartFile(append ? DecodeRowId(rows.keys[0]) : 0));
    }
    return writer_->Add(rows);
  }

  arrow::Result<std::vector<FileMeta>> Finish() {
    if (writer_ == nullptr && !tombstones_.Clip(lower_, upper_).empty()) {
      ARROW_RETURN_NOT_OK(StartFile(0));
    }
    if (writer_ != nullptr) ARROW_RETURN_NOT_OK(FinishFile(upper_));
    if (!files_.empty()) {
      ARROW_RETURN_NOT_OK(context_.fs->SyncDirectory(SstDirectory(context_.directory)));
    }
    return std::move(files_);
  }

  /// Removes everything written. The error that led here is the one to report.
  void Abandon() {
    if (writer_ != nullptr) WarnIfError(writer_->Abandon());
    writer_.reset();
    RemoveOutput(files_, context_.fs, context_.directory);
    files_.clear();
  }

 private:
  arrow::Status StartFile(uint64_t first_row_id) {
    SstWriterOptions options;
    options.schema = context_.schema;
    options.number = context_.next_file_number->fetch_add(1);
    options.path = SstPath(context_.directory, options.number);
    options.uuid = context_.uuid;
    options.hash_seed = context_.hash_seed;
    options.table_id = context_.table_id;
    options.table_name = context_.table_name;
    options.constant_sequence = layout_.constant_sequence;
    options.newest_sequence = layout_.newest_sequence;
    options.compression = layout_.compression;
    options.with_kinds = layout_.with_kinds;
    options.first_row_id = first_row_id;
    options.pool = context_.pool;
    ARROW_ASSIGN_OR_RAISE(writer_, SstWriter::Create(context_.fs, std::move(options)));
    return arrow::Status::OK();
  }

  /// `upper`: the first key of the next file, or the end of the range. Tombstones are cut there, so
  /// that the files of a run do not overlap.
  arrow::Status FinishFile(std::optional<std::string> upper) {
    for (const RangeTombstone& tombstone : tombstones_.Clip(lower_, upper)) {
      writer_->AddRangeTombstone(tombstone);
    }
    ARROW_ASSIGN_OR_RAISE(FileMeta meta, writer_->Finish());
    writer_.reset();
    files_.push_back(std::move(meta));
    if (upper.has_value()) lower_ = *std::move(upper);
    return arrow::Status::OK();
  }

  const OutputContext& context_;
  const RowLayout layout_;
  const RangeTombstoneSet tombstones_;
  std::string lower_;  // of the file being written
  const std::optional<std::string> upper_;
  const int64_t file_bytes_;
  std::unique_ptr<SstWriter> writer_;
  std::vector<FileMeta> files_;
};

arrow::Status CopyRows(SortedReader* reader, const OutputContext& context, FileCutter* cutter) {
  while (true) {
    if (context.cancelled != nullptr && context.cancelled->load()) {
      return arrow::Status::Cancelled("the database is closing");
    }
    ARROW_ASSIGN_OR_RAISE(std::optional<RowBatch> rows, reader->Next());
    if (!rows.has_value()) return arrow::Status::OK();
    ARROW_RETURN_NOT_OK(cutter->Add(*rows));
  }
}

arrow::Result<std::vector<FileMeta>> WriteRun(std::vector<std::unique_ptr<SortedReader>> sources,
                                              std::shared_ptr<const RangeTombstoneSet> tombstones,
                                              bool bottommost, const RowLayout& layout,
                                              const EncodedRange& range, int64_t file_bytes,
                                              const OutputContext& context) {
  // A tombstone has done its work when nothing lies below it and every snapshot sees it.
  const uint64_t oldest_snapshot =
      context.snapshots.empty() ? kSequenceMax : context.snapshots.front();
  std::vector<RangeTombstone> kept;
  for (RangeTombstone& tombstone : tombstones->NeededBy(context.snapshots)) {
    if (!bottommost || tombstone.sequence > oldest_snapshot) kept.push_back(std::move(tombstone));
  }
  CompactOptions options;
  options.schema = context.schema->stored_schema();
  options.snapshots = context.snapshots;
  options.tombstones = std::move(tombstones);
  options.bottommost = bottommost;
  options.pool = context.pool;
  if (!context.schema->is_append() && context.schema->codec()->is_single_binary()) {
    options.key_column = context.schema->codec()->columns().front();
  }
  ARROW_ASSIGN_OR_RAISE(auto rows, MergeForCompaction(std::move(sources), std::move(options)));
  FileCutter cutter(context, layout, RangeTombstoneSet(std::move(kept)), range, file_bytes);
  arrow::Status status = CopyRows(rows.get(), context, &cutter);
  if (status.ok()) {
    auto files = cutter.Finish();
    if (files.ok()) return files;
    status = files.status();
  }
  cutter.Abandon();
  return status;
}

ReadRequest WholeSource(const StoredSchema& schema) {
  ReadRequest request;
  request.columns.resize(static_cast<size_t>(schema.stored_schema()->num_fields()));
  std::iota(request.columns.begin(), request.columns.end(), 0);
  return request;
}

/// Deletes of the inputs are dropped for certain, so that no kind column is needed.
bool DropsAllDeletes(const CompactionPlan& plan, const OutputContext& context,
                     uint64_t sequence_max) {
  return plan.bottommost &&
         (context.snapshots.empty() || context.snapshots.front() >= sequence_max);
}

}  // namespace

arrow::Result<std::vector<FileMeta>> FlushMemtable(const Memtable& memtable,
                                                   const OutputContext& context, bool bottommost) {
  ARROW_ASSIGN_OR_RAISE(auto reader, memtable.NewReader(WholeSource(*context.schema)));
  std::vector<std::unique_ptr<SortedReader>> sources;
  sources.push_back(std::move(reader));
  RowLayout layout;
  layout.with_kinds = memtable.has_deletes();
  if (memtable.sequence_min() == memtable.sequence_max()) {
    layout.constant_sequence = memtable.sequence_min();
  }
  return WriteRun(std::move(sources), memtable.range_tombstones().Set(), bottommost, layout,
                  EncodedRange(), 2 * context.target_file_bytes, context);
}

arrow::Result<std::vector<EncodedRange>> SplitCompaction(const CompactionPlan& plan,
                                                         const OutputContext& context) {
  // First keys of blocks spread over the inputs, each for so many bytes of its file.
  constexpr int64_t kSamplesPerFile = 64;
  struct Sample {
    std::string_view key;
    int64_t bytes;
  };
  std::vector<Sample> samples;
  std::vector<EncodedRange> ranges(1);
  if (context.schema->is_append()) return ranges;
  for (const auto& file : plan.InputFiles()) {
    if (file->meta().rows == 0) continue;
    ARROW_ASSIGN_OR_RAISE(SstReader * reader, file->reader());
    const int64_t blocks = reader->num_blocks();
    const int64_t step = std::max<int64_t>(1, blocks / kSamplesPerFile);
    for (int64_t block = 0; block < blocks; block += step) {
      ARROW_ASSIGN_OR_RAISE(const std::string_view key, reader->BlockFirstKey(block));
      samples.push_back({key, static_cast<int64_t>(file->meta().size) / blocks * step});
    }
  }
  std::ranges::sort(samples, {}, &Sample::key);
  int64_t bytes = 0;
  for (const Sample& sample : samples) {
    if (bytes >= context.target_file_bytes && sample.key > ranges.back().lower) {
      ranges.back().upper = sample.key;
      ranges.push_back({std::string(sample.key), std::nullopt});
      bytes = 0;
    }
    bytes += sample.bytes;
  }
  return ranges;
}

arrow::Result<std::vector<FileMeta>> RunCompaction(const CompactionPlan& plan,
                                                   const EncodedRange& range,
                                                   const OutputContext& context) {
  MARBLE_CHECK(!plan.trivial_move);
  std::vector<RangeTombstone> tombstones;
  uint64_t sequence_min = kSequenceMax;
  uint64_t sequence_max = 0;
  bool deletes = false;
  for (const auto& run : plan.inputs) {
    sequence_min = std::min(sequence_min, run->sequence_min());
    sequence_max = std::max(sequence_max, run->sequence_max());
    for (const auto& file : run->files) {
      deletes = deletes || file->meta().deletes > 0;
      if (file->meta().range_tombstones == 0 || !file->Overlaps(range)) continue;
      ARROW_ASSIGN_OR_RAISE(SstReader * reader, file->reader());
      const auto& some = reader->range_tombstones().tombstones();
      tombstones.insert(tombstones.end(), some.begin(), some.end());
    }
  }
  RowLayout layout;
  const bool settled = DropsAllDeletes(plan, context, sequence_max);
  layout.with_kinds = deletes && !settled;
  layout.compression = OutputCompression(plan, context.schema->options());
  // In the bottommost run, seen alike by all snapshots, sequences tell nothing any more. The lowest
  // stands for them: beside it may lie files of the level above with newer rows of the same keys.
  if (settled) {
    layout.constant_sequence = sequence_min;
    layout.newest_sequence = sequence_max;
  }
  auto covers = std::make_shared<const RangeTombstoneSet>(std::move(tombstones));
  std::vector<std::unique_ptr<SortedReader>> sources;
  for (const auto& run : plan.inputs) {
    ReadRequest request = WholeSource(*context.schema);
    request.range = range;
    // What no snapshot sees any more need not be read.
    sources.push_back(
        NewRunReader(run, std::move(request), context.snapshots.empty() ? covers : nullptr));
  }
  return WriteRun(std::move(sources), std::move(covers), plan.bottommost, layout, range,
                  context.target_file_bytes, context);
}

void RemoveOutput(const std::vector<FileMeta>& files, FileSystem* fs,
                  const std::string& directory) {
  for (const FileMeta& file : files) {
    WarnIfError(fs->Remove(SstPath(directory, file.number)));
  }
}

arrow::Result<std::vector<FileMeta>> WriteBulk(const SortedRows& rows, const OutputContext& context,
                                               uint64_t first_row_id) {
  RowLayout layout;
  layout.constant_sequence = kBulkSequence;
  FileCutter cutter(context, layout, RangeTombstoneSet(), EncodedRange(),
                    context.target_file_bytes);
  constexpr int64_t kRowsAtOnce = 64 * 1024;
  const bool append = context.schema->is_append();
  arrow::Status status;
  for (int64_t at = 0; status.ok() && at < rows.columns->num_rows(); at += kRowsAtOnce) {
    RowBatch part;
    part.columns = rows.columns->Slice(at, kRowsAtOnce);
    part.sequence = kBulkSequence;
    part.sequence_max = kBulkSequence;
    if (append) {
      status = EncodeRowIds(first_row_id + static_cast<uint64_t>(at), part.num_rows(), context.pool)
                   .Value(&part.keys);
    } else {
      part.keys = rows.keys.Slice(at, part.num_rows());
    }
    if (status.ok()) status = cutter.Add(part);
  }
  if (status.ok()) {
    auto files = cutter.Finish();
    if (files.ok()) return files;
    status = files.status();
  }
  cutter.Abandon();
  return status;
}

arrow::Result<std::vector<FileMeta>> MergeBulk(
    const std::vector<std::shared_ptr<const Run>>& newest_first, const OutputContext& context) {
  MARBLE_CHECK(!context.schema->is_append() && context.snapshots.empty());
  RowLayout layout;
  layout.constant_sequence = kBulkSequence;
  auto no_tombstones = std::make_shared<const RangeTombstoneSet>();
  std::vector<std::unique_ptr<SortedReader>> sources;
  for (const auto& run : newest_first) {
    sources.push_back(NewRunReader(run, WholeSource(*context.schema)));
  }
  return WriteRun(std::move(sources), std::move(no_tombstones), /*bottommost=*/true, layout,
                  EncodedRange(), context.target_file_bytes, context);
}

}  // namespace marble

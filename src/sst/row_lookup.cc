#include "sst/row_lookup.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>
#include <vector>

#include "base/prefetch.h"
#include "row/batch_ops.h"
#include "row/row_list.h"
#include "sst/block_access.h"
#include "sst/sst_file.h"

namespace marble {

namespace {

using arrow::Result;
using arrow::Status;

/// Index lines are fetched for so many keys ahead.
constexpr size_t kLinesAhead = 24;
/// The same of blocks that the reader keeps, and then of their batches.
constexpr size_t kBlocksAhead = 24;
constexpr size_t kBatchesAhead = 12;
/// Fewer candidates than that are sorted by comparing them.
constexpr size_t kCountedMin = 64;
/// Bytes of blocks that are held together, and of keys that are gathered together, about.
constexpr int64_t kOpenBytesMax = int64_t{8} << 20;

/// The steps: index lines, then the keys of the rows that these name (gathered column by column),
/// block by block. What the steps leave open (a key that only looks like the one wanted) the file's
/// reader answers with GetRow. A value on the stack of one lookup.
class RowsLookup {
 public:
  RowsLookup(const RowsQuery& query, RowSink* sink, size_t keys) : query_(query), sink_(sink) {
    candidates_.reserve(keys);
  }

  /// Run will ask the file, unless its reader has no RowSource and is asked at once.
  Status Add(const AskedFile& asked);
  Status Run();

 private:
  struct File {
    SstReader* reader;
    RowSource* rows;
    SstFile* sst;
    uint64_t snapshot;  // kSequenceMax if it sees the whole file
  };
  /// A key that a file is asked for, and the row that is its first in the file, if it is there at
  /// all and no other key's hash looks like its own. Without a point index the row is -1.
  struct Candidate {
    int64_t key;
    uint32_t file;
    uint32_t block;
    int32_t row;
    /// Orders the candidates of a file: its row there, or without a point index its block.
    uint32_t place;
  };
  struct OpenBlock {
    const File* file;
    int64_t block;
    std::shared_ptr<const Block> rows;
    size_t end;  // of its candidates
  };

  SstFile* FileOf(const Candidate& candidate) const { return files_[candidate.file].sst; }
  uint64_t HashOf(const Candidate& candidate) const {
    return query_.hashes[static_cast<size_t>(candidate.key)];
  }
  /// Finds the candidates' rows; those that their files cannot have are done with.
  Status Locate();
  /// False if the file cannot have the key.
  Result<bool> LocateByIndex(Candidate* candidate) const;
  Result<bool> LocateByBounds(Candidate* candidate) const;
  /// Rows that lie together are looked at together: their pages, too, have to be found.
  void SortByRow();
  void SortByRow(const SstFile& file, std::span<Candidate> candidates);
  static bool IsInBlockOf(const Candidate& a, const Candidate& b) {
    return a.block == b.block && a.file == b.file;
  }
  /// The block of candidate `i`, if its reader keeps it and it is not that of the one before.
  const Block* NextBlock(size_t i) const;
  /// Fetches it; its batches, once it is there.
  void PrefetchBlock(size_t i) const;
  void PrefetchBatches(size_t i) const;
  /// Opens the blocks of the candidates from `begin` on until they are many.
  Status OpenBlocks(size_t begin);
  /// Keys of the rows of the candidates from `begin` on that have one, in `blocks`.
  Result<EncodedKeys> GatherKeys(size_t begin, std::span<const OpenBlock> blocks) const;
  /// Gives out what is found among the candidates from `begin` on, in the open blocks.
  Status Deliver(size_t begin);
  Status DeliverFrom(const OpenBlock& block, const Candidate& candidate, bool is_key);
  Status AskReader(SstReader* reader, int64_t key);

  const RowsQuery& query_;
  RowSink* const sink_;
  std::vector<int> key_columns_;  // ascending; the files' schema is one
  std::vector<File> files_;
  std::vector<Candidate> candidates_;  // those of a file together
  std::vector<Candidate> sorted_;      // SortByRow's
  std::vector<OpenBlock> open_;
};

Status RowsLookup::Add(const AskedFile& asked) {
  RowSource* const rows = asked.reader->row_source();
  if (rows == nullptr) {
    for (const int64_t key : asked.keys) ARROW_RETURN_NOT_OK(AskReader(asked.reader, key));
    return Status::OK();
  }
  const FileMeta& meta = asked.reader->meta();
  if (meta.rows == 0) return Status::OK();
  if (files_.empty()) {
    key_columns_ = rows->file()->schema().codec()->columns();
    std::ranges::sort(key_columns_);
  }
  const auto file = static_cast<uint32_t>(files_.size());
  const uint64_t snapshot = meta.sequence_max <= query_.snapshot ? kSequenceMax : query_.snapshot;
  files_.push_back({asked.reader, rows, rows->file(), snapshot});
  for (const int64_t key : asked.keys) {
    candidates_.push_back({.key = key, .file = file, .block = 0, .row = -1, .place = 0});
  }
  return Status::OK();
}

Status RowsLookup::Run() {
  ARROW_RETURN_NOT_OK(Locate());
  SortByRow();
  for (size_t i = 0; i < kBlocksAhead; ++i) PrefetchBlock(i);
  for (size_t i = 0; i < kBatchesAhead; ++i) PrefetchBatches(i);
  for (size_t begin = 0; begin < candidates_.size(); begin = open_.back().end) {
    ARROW_RETURN_NOT_OK(OpenBlocks(begin));
    ARROW_RETURN_NOT_OK(Deliver(begin));
  }
  return Status::OK();
}

Status RowsLookup::Locate() {
  const auto prefetch = [this](size_t i) {
    if (i < candidates_.size()) FileOf(candidates_[i])->PrefetchLookup(HashOf(candidates_[i]));
  };
  for (size_t i = 0; i < kLinesAhead; ++i) prefetch(i);
  size_t located = 0;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    prefetch(i + kLinesAhead);
    Candidate candidate = candidates_[i];
    const bool by_index = FileOf(candidate)->point_index().valid();
    ARROW_ASSIGN_OR_RAISE(const bool may_be_there,
                          by_index ? LocateByIndex(&candidate) : LocateByBounds(&candidate));
    if (may_be_there) candidates_[located++] = candidate;
  }
  candidates_.resize(located);
  return Status::OK();
}

Result<bool> RowsLookup::LocateByIndex(Candidate* candidate) const {
  const SstFile& file = *FileOf(*candidate);
  const PointIndex& index = file.point_index();
  const uint64_t hash = HashOf(*candidate);
  uint64_t line = index.HomeLine(hash);
  for (uint64_t n = 0; n < index.line_count(); ++n, line = index.NextLine(line)) {
    ARROW_RETURN_NOT_OK(file.TouchPointIndex(line));
    const uint32_t matches = index.Match(line, hash);
    if (matches != 0) {
      const uint32_t row = index.Row(line, std::countr_zero(matches));
      if (row >= index.row_count()) return file.Damage("the point index names a row too many");
      candidate->block = file.locator().Find(row);
      candidate->row = static_cast<int32_t>(row - file.locator().FirstRow(candidate->block));
      candidate->place = row;
      return true;
    }
    if (!index.Overflowed(line)) break;
  }
  return false;
}

Result<bool> RowsLookup::LocateByBounds(Candidate* candidate) const {
  const SstFile& file = *FileOf(*candidate);
  if (file.bloom_filter().valid()) {
    ARROW_RETURN_NOT_OK(file.TouchBloomFilter(HashOf(*candidate)));
    if (!file.bloom_filter().MayContain(HashOf(*candidate))) return false;
  }
  const BlockIndex& blocks = file.blocks();
  const std::string_view wanted = (*query_.keys)[candidate->key];
  const int64_t block = blocks.Find(wanted);
  candidate->block = candidate->place = static_cast<uint32_t>(block);
  return block < blocks.num_blocks() && wanted >= blocks.FirstKey(block);
}

void RowsLookup::SortByRow() {
  for (size_t begin = 0, end = 0; begin < candidates_.size(); begin = end) {
    const uint32_t file = candidates_[begin].file;
    while (end < candidates_.size() && candidates_[end].file == file) ++end;
    SortByRow(*files_[file].sst, std::span(candidates_).subspan(begin, end - begin));
  }
}

void RowsLookup::SortByRow(const SstFile& file, std::span<Candidate> candidates) {
  if (candidates.size() < kCountedMin) {
    std::ranges::sort(candidates, {}, &Candidate::place);
    return;
  }
  // Counted by parts of the file, as many as there are candidates; then those of a part compared.
  const PointIndex& index = file.point_index();
  const uint64_t places =
      index.valid() ? index.row_count() : static_cast<uint64_t>(file.blocks().num_blocks());
  const int shift = static_cast<int>(std::bit_width(places - 1)) -
                    static_cast<int>(std::bit_width(candidates.size() - 1));
  const auto part = [shift = std::max(shift, 0)](uint64_t place) { return place >> shift; };
  std::vector<size_t> ends(part(places - 1) + 2);
  for (const Candidate& candidate : candidates) ++ends[part(candidate.place) + 1];
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  sorted_.assign(candidates.begin(), candidates.end());
  for (const Candidate& candidate : sorted_) {
    candidates[ends[part(candidate.place)]++] = candidate;
  }
  ends.pop_back();  // each is the end of those of its part now
  size_t begin = 0;
  for (const size_t end : ends) {
    if (end - begin > 1) {
      std::ranges::sort(candidates.subspan(begin, end - begin), {}, &Candidate::place);
    }
    begin = end;
  }
}

const Block* RowsLookup::NextBlock(size_t i) const {
  if (i >= candidates_.size()) return nullptr;
  const Candidate& candidate = candidates_[i];
  if (i > 0 && IsInBlockOf(candidates_[i - 1], candidate)) return nullptr;
  return files_[candidate.file].rows->TryRows(candidate.block);
}

void RowsLookup::PrefetchBlock(size_t i) const {
  const Block* const block = NextBlock(i);
  if (block == nullptr) return;
  PrefetchLine(block);
  PrefetchLine(&block->rows.kinds);
  PrefetchLine(&block->key_columns);
  PrefetchLine(&block->memory);
}

void RowsLookup::PrefetchBatches(size_t i) const {
  const Block* const block = NextBlock(i);
  if (block == nullptr) return;
  PrefetchLine(block->rows.columns.get());
  PrefetchLine(block->key_columns.get());
}

Status RowsLookup::OpenBlocks(size_t begin) {
  open_.clear();
  const int64_t overhead =
      BatchOverhead(files_.front().sst->schema().stored_schema()->num_fields());
  int64_t block_bytes = 0;
  int64_t key_bytes = 0;
  while (begin < candidates_.size() && block_bytes < kOpenBytesMax && key_bytes < kOpenBytesMax) {
    const Candidate first = candidates_[begin];
    const File& file = files_[first.file];
    ARROW_ASSIGN_OR_RAISE(auto rows, file.rows->GetRows(first.block));
    ARROW_RETURN_NOT_OK(file.rows->CheckBlock(first.block, *rows, key_columns_));
    block_bytes += rows->memory + overhead;
    do {
      PrefetchBlock(begin + kBlocksAhead);
      PrefetchBatches(begin + kBatchesAhead);
      // The row's key is the wanted one, mostly.
      key_bytes += static_cast<int64_t>((*query_.keys)[candidates_[begin].key].size());
      ++begin;
    } while (begin < candidates_.size() && IsInBlockOf(first, candidates_[begin]) &&
             key_bytes < kOpenBytesMax);
    open_.push_back({&file, first.block, std::move(rows), begin});
  }
  return Status::OK();
}

Result<EncodedKeys> RowsLookup::GatherKeys(size_t begin, std::span<const OpenBlock> blocks) const {
  std::vector<std::shared_ptr<arrow::RecordBatch>> sources;
  std::vector<RowSlice> slices;
  sources.reserve(blocks.size());
  slices.reserve(blocks.back().end - begin);
  size_t at = begin;
  for (const OpenBlock& block : blocks) {
    const auto source = static_cast<int32_t>(sources.size());
    sources.push_back(Borrowed(block.rows->key_columns));
    for (; at < block.end; ++at) {
      const int32_t row = candidates_[at].row;
      if (row < 0) continue;
      slices.push_back({.source = source, .descending = false, .start = row, .length = 1});
    }
  }
  if (slices.empty()) return EncodedKeys();
  const SstFile& file = *blocks.front().file->sst;
  arrow::MemoryPool* const pool = file.options().pool;
  ARROW_ASSIGN_OR_RAISE(const auto keys, Gather(sources.front()->schema(), sources, slices, pool));
  auto encoded = file.schema().codec()->EncodeArrays(keys->columns(), pool);
  if (encoded.ok() || encoded.status().IsOutOfMemory()) return encoded;
  // A value that cannot be a key's: in which block?
  for (size_t i = 0; blocks.size() > 1 && i < blocks.size(); begin = blocks[i].end, ++i) {
    ARROW_RETURN_NOT_OK(GatherKeys(begin, blocks.subspan(i, 1)).status());
  }
  if (blocks.size() > 1) return encoded;
  const BlockEntry entry = file.blocks().Entry(blocks.front().block);
  return file.Damage(encoded.status(), entry.message_offset);
}

Status RowsLookup::Deliver(size_t begin) {
  ARROW_ASSIGN_OR_RAISE(const EncodedKeys keys, GatherKeys(begin, open_));
  int64_t next_key = 0;
  size_t at = begin;
  for (const OpenBlock& block : open_) {
    bool checked = false;
    for (; at < block.end; ++at) {
      const Candidate& candidate = candidates_[at];
      const bool has_row = candidate.row >= 0;
      const bool is_key = has_row && IsSameKey(keys[next_key++], (*query_.keys)[candidate.key]);
      if (has_row && !is_key) {
        ARROW_RETURN_NOT_OK(AskReader(block.file->reader, candidate.key));
        continue;
      }
      if (!checked) {
        ARROW_RETURN_NOT_OK(block.file->rows->CheckBlock(block.block, *block.rows, query_.columns));
        checked = true;
      }
      ARROW_RETURN_NOT_OK(DeliverFrom(block, candidate, is_key));
    }
  }
  return Status::OK();
}

Status RowsLookup::DeliverFrom(const OpenBlock& block, const Candidate& candidate, bool is_key) {
  const RowBatch& rows = block.rows->rows;
  const uint64_t snapshot = block.file->snapshot;
  int64_t row = candidate.row;
  const bool is_newest = is_key && (snapshot == kSequenceMax || rows.SequenceAt(row) <= snapshot);
  if (!is_newest) {
    DecodedBlockAccess access(block.file->sst, block.rows.get());
    bool there = false;
    ARROW_RETURN_NOT_OK(
        FindVersion(&access, (*query_.keys)[candidate.key], candidate.row, snapshot, &there, &row));
    if (row < 0) return Status::OK();
  }
  FoundRow found;
  found.sequence = query_.want_sequences ? rows.SequenceAt(row) : 0;
  found.kind = rows.KindAt(row);
  found.block = block.rows;
  found.row = row;
  return sink_->Take(candidate.key, found);
}

Status RowsLookup::AskReader(SstReader* reader, int64_t key) {
  ARROW_ASSIGN_OR_RAISE(const auto found,
                        reader->GetRow((*query_.keys)[key], query_.hashes[static_cast<size_t>(key)],
                                       query_.snapshot));
  return found.has_value() ? sink_->Take(key, *found) : Status::OK();
}

}  // namespace

Status LookUpRows(std::span<const AskedFile> files, const RowsQuery& query, RowSink* sink) {
  size_t keys = 0;
  for (const AskedFile& asked : files) keys += asked.keys.size();
  RowsLookup lookup(query, sink, keys);
  for (const AskedFile& asked : files) ARROW_RETURN_NOT_OK(lookup.Add(asked));
  return lookup.Run();
}

}  // namespace marble

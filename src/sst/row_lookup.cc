#include "sst/row_lookup.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "row/batch_ops.h"
#include "sst/block_access.h"
#include "sst/block_rows.h"

namespace marble {

namespace {

using arrow::Result;
using arrow::Status;

/// Index lines are fetched for so many keys ahead.
constexpr size_t kLinesAhead = 24;
/// Bytes of decoded blocks that are held together.
constexpr int64_t kOpenBytesMax = int64_t{8} << 20;

}  // namespace

RowLookup::RowLookup(SstFile* file, SstReader* reader, Blocks blocks, const RowsQuery& query,
                     RowSink* sink)
    : file_(file),
      reader_(reader),
      blocks_(std::move(blocks)),
      query_(query),
      sink_(sink),
      snapshot_(file->meta().sequence_max <= query.snapshot ? kSequenceMax : query.snapshot),
      key_columns_(file->schema().codec()->columns()) {
  std::ranges::sort(key_columns_);
}

Status RowLookup::Run() {
  ARROW_RETURN_NOT_OK(Locate());
  SortByRow();
  for (size_t begin = 0; begin < candidates_.size(); begin = open_.back().end) {
    ARROW_RETURN_NOT_OK(OpenBlocks(begin));
    ARROW_RETURN_NOT_OK(Deliver(begin));
  }
  return Status::OK();
}

Status RowLookup::Locate() {
  const bool by_index = file_->point_index().valid();
  const auto& asked = query_.asked;
  candidates_.reserve(asked.size());
  for (size_t i = 0; i < std::min(kLinesAhead, asked.size()); ++i) {
    file_->PrefetchLookup(query_.hashes[static_cast<size_t>(asked[i])]);
  }
  for (size_t i = 0; i < asked.size(); ++i) {
    if (i + kLinesAhead < asked.size()) {
      file_->PrefetchLookup(query_.hashes[static_cast<size_t>(asked[i + kLinesAhead])]);
    }
    ARROW_RETURN_NOT_OK(by_index ? LocateByIndex(asked[i]) : LocateByBounds(asked[i]));
  }
  return Status::OK();
}

Status RowLookup::LocateByIndex(int64_t key) {
  const PointIndex& index = file_->point_index();
  const uint64_t hash = query_.hashes[static_cast<size_t>(key)];
  uint64_t line = index.HomeLine(hash);
  for (uint64_t n = 0; n < index.line_count(); ++n, line = index.NextLine(line)) {
    ARROW_RETURN_NOT_OK(file_->TouchPointIndex(line));
    const uint32_t matches = index.Match(line, hash);
    if (matches != 0) {
      const uint32_t row = index.Row(line, std::countr_zero(matches));
      if (row >= index.row_count()) return file_->Damage("the point index names a row too many");
      const uint32_t block = file_->locator().Find(row);
      const uint32_t first = file_->locator().FirstRow(block);
      candidates_.push_back({key, block, static_cast<int32_t>(row - first)});
      break;
    }
    if (!index.Overflowed(line)) break;
  }
  return Status::OK();
}

Status RowLookup::LocateByBounds(int64_t key) {
  if (file_->bloom_filter().valid()) {
    const uint64_t hash = query_.hashes[static_cast<size_t>(key)];
    ARROW_RETURN_NOT_OK(file_->TouchBloomFilter(hash));
    if (!file_->bloom_filter().MayContain(hash)) return Status::OK();
  }
  const BlockIndex& blocks = file_->blocks();
  const std::string_view wanted = (*query_.keys)[key];
  const int64_t block = blocks.Find(wanted);
  if (block < blocks.num_blocks() && wanted >= blocks.FirstKey(block)) {
    candidates_.push_back({key, static_cast<uint32_t>(block), -1});
  }
  return Status::OK();
}

void RowLookup::SortByRow() {
  // By block first, counted and not compared, unless there are more blocks than candidates.
  const auto blocks = static_cast<size_t>(file_->blocks().num_blocks());
  const auto by_row = [](const Candidate& a, const Candidate& b) {
    return a.block != b.block ? a.block < b.block : a.row < b.row;
  };
  if (blocks > candidates_.size()) {
    std::ranges::sort(candidates_, by_row);
    return;
  }
  std::vector<size_t> ends(blocks + 1);
  for (const Candidate& candidate : candidates_) ++ends[candidate.block + 1];
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  std::vector<Candidate> sorted(candidates_.size());
  for (const Candidate& candidate : candidates_) sorted[ends[candidate.block]++] = candidate;
  candidates_ = std::move(sorted);
  auto begin = candidates_.begin();
  for (size_t block = 0; block < blocks; ++block) {
    const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(ends[block]);
    std::ranges::sort(begin, end, {}, &Candidate::row);
    begin = end;
  }
}

Status RowLookup::OpenBlocks(size_t begin) {
  open_.clear();
  int64_t bytes = 0;
  while (begin < candidates_.size() && bytes < kOpenBytesMax) {
    const uint32_t block = candidates_[begin].block;
    size_t end = begin + 1;
    while (end < candidates_.size() && candidates_[end].block == block) ++end;
    ARROW_ASSIGN_OR_RAISE(auto rows, blocks_.get(block));
    ARROW_RETURN_NOT_OK(blocks_.check(block, *rows, key_columns_));
    bytes += rows->memory;
    open_.push_back({block, std::move(rows), end});
    begin = end;
  }
  return Status::OK();
}

Result<EncodedKeys> RowLookup::GatherKeys(size_t begin, size_t end) const {
  std::vector<std::shared_ptr<arrow::RecordBatch>> sources;
  std::vector<RowSlice> slices;
  slices.reserve(end - begin);
  for (const OpenBlock& block : open_) {
    const auto source = static_cast<int32_t>(sources.size());
    sources.push_back(block.rows->key_columns);
    for (; begin < block.end; ++begin) {
      slices.push_back(
          {.source = source, .descending = false, .start = candidates_[begin].row, .length = 1});
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto keys,
                        Gather(sources.front()->schema(), sources, slices, file_->options().pool));
  auto encoded = file_->schema().codec()->EncodeArrays(keys->columns(), file_->options().pool);
  if (!encoded.ok()) return file_->Damage(encoded.status(), -1);
  return encoded;
}

Status RowLookup::Deliver(size_t begin) {
  EncodedKeys keys;
  const bool by_index = file_->point_index().valid();
  if (by_index) {
    ARROW_ASSIGN_OR_RAISE(keys, GatherKeys(begin, open_.back().end));
  }
  size_t at = begin;
  for (const OpenBlock& block : open_) {
    bool checked = false;
    for (; at < block.end; ++at) {
      const Candidate& candidate = candidates_[at];
      const bool is_key = by_index && IsSameKey(keys[static_cast<int64_t>(at - begin)],
                                                (*query_.keys)[candidate.key]);
      if (by_index && !is_key) {
        ARROW_RETURN_NOT_OK(AskReader(candidate.key));
        continue;
      }
      if (!checked) {
        ARROW_RETURN_NOT_OK(blocks_.check(block.block, *block.rows, query_.columns));
        checked = true;
      }
      ARROW_RETURN_NOT_OK(DeliverFrom(block, candidate, is_key));
    }
  }
  return Status::OK();
}

Status RowLookup::DeliverFrom(const OpenBlock& block, const Candidate& candidate, bool is_key) {
  const RowBatch& rows = block.rows->rows;
  int64_t row = candidate.row;
  const bool is_newest = is_key && (snapshot_ == kSequenceMax || rows.SequenceAt(row) <= snapshot_);
  if (!is_newest) {
    DecodedBlockAccess access(file_, block.rows.get());
    bool there = false;
    ARROW_RETURN_NOT_OK(FindVersion(&access, (*query_.keys)[candidate.key], candidate.row,
                                    snapshot_, &there, &row));
    if (row < 0) return Status::OK();
  }
  FoundRow found;
  found.sequence = query_.want_sequences ? rows.SequenceAt(row) : 0;
  found.kind = rows.KindAt(row);
  found.block = block.rows;
  found.row = row;
  return sink_->Take(candidate.key, found);
}

Status RowLookup::AskReader(int64_t key) {
  ARROW_ASSIGN_OR_RAISE(const auto found,
                        reader_->GetRow((*query_.keys)[key],
                                        query_.hashes[static_cast<size_t>(key)], query_.snapshot));
  return found.has_value() ? sink_->Take(key, *found) : Status::OK();
}

}  // namespace marble

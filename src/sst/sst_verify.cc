#include "sst/sst_verify.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <string>
#include <string_view>

#include <marble/error.h>

#include "base/checksum.h"
#include "sst/block_rows.h"
#include "sst/hidden_columns.h"
#include "sst/key_bounds.h"
#include "sst/kv_decoder.h"
#include "sst/zone_map.h"

namespace marble {

namespace {

using arrow::Result;
using arrow::Status;

// One pass over the blocks of a file.
class Verifier {
 public:
  explicit Verifier(const SstFile& file)
      : file_(file),
        keyed_(!file.schema().is_append()),
        zone_maps_(file.schema().stored_schema()) {}

  Status Run() {
    ARROW_RETURN_NOT_OK(file_.CheckAllBytes());
    for (int64_t block = 0; block < file_.blocks().num_blocks(); ++block) {
      ARROW_RETURN_NOT_OK(CheckBlock(block));
    }
    ARROW_RETURN_NOT_OK(CheckZoneMaps());
    return CheckMeta();
  }

 private:
  Status Damage(const std::string& what) const { return file_.Damage(what, message_offset_); }

  Status CheckBlock(int64_t block);
  Status CheckRows(int64_t block, const RowBatch& rows);
  Status CheckKeys(int64_t block, const RowBatch& rows);
  Status CheckLookup(std::string_view key, int64_t row);
  Status CheckZoneMaps();
  Status CheckMeta();

  const SstFile& file_;
  const bool keyed_;
  ZoneMapBuilder zone_maps_;
  int64_t message_offset_ = -1;  // of the block being checked
  std::string first_key_;
  std::string last_key_;
  HiddenStatistics statistics_;
};

Status Verifier::CheckBlock(int64_t block) {
  const BlockEntry entry = file_.blocks().Entry(block);
  message_offset_ = entry.message_offset;
  int64_t memory = 0;
  ARROW_ASSIGN_OR_RAISE(const RowBatch rows, DecodeRows(file_, block, AllColumns(file_),
                                                        /*want_keys=*/keyed_, &memory));
  const Status valid = rows.columns->ValidateFull();
  if (!valid.ok()) return file_.Damage(valid, message_offset_);
  // Our own decoder wants more of a message than Arrow's does: what reading would refuse is damage.
  if (file_.schema().is_key_value()) ARROW_RETURN_NOT_OK(DecodeKvBlock(file_, block).status());
  ARROW_RETURN_NOT_OK(zone_maps_.AddBlock(*rows.columns));
  ARROW_RETURN_NOT_OK(CheckRows(block, rows));
  return keyed_ ? CheckKeys(block, rows) : Status::OK();
}

Status Verifier::CheckRows(int64_t block, const RowBatch& rows) {
  const BlockEntry entry = file_.blocks().Entry(block);
  HiddenStatistics of_block;
  for (int64_t i = 0; i < rows.num_rows(); ++i) {
    const uint64_t sequence = rows.SequenceAt(i);
    of_block.sequence_min = std::min(of_block.sequence_min, sequence);
    of_block.sequence_max = std::max(of_block.sequence_max, sequence);
    of_block.deletes += rows.KindAt(i) == RowKind::kDelete;
  }
  // Of a file without sequences the index has what the writer was given; a bulk insert's commit has
  // put another number into the file record since.
  if (file_.sequence_column() >= 0 && of_block.sequence_max != entry.sequence_max) {
    return Damage("the highest sequence of a block is not that of the block index");
  }
  if (entry.has_kinds != (of_block.deletes > 0)) {
    return Damage("the block index is wrong about deleted rows");
  }
  statistics_.Merge(of_block);
  return Status::OK();
}

Status Verifier::CheckKeys(int64_t block, const RowBatch& rows) {
  const int64_t first_row = file_.blocks().FirstRow(block);
  std::optional<std::string_view> before;
  if (first_row > 0) before = last_key_;
  const Result<bool> unique = CheckRowOrder(rows, before);
  if (!unique.ok()) return Damage(unique.status().message());
  if (*unique != rows.unique_keys) return Damage("the block index is wrong about repeated keys");
  for (int64_t i = 0; i < rows.num_rows(); ++i) {
    if (i > 0 && rows.keys[i] == rows.keys[i - 1]) continue;
    ARROW_RETURN_NOT_OK(CheckLookup(rows.keys[i], first_row + i));
  }
  last_key_ = rows.keys[rows.num_rows() - 1];
  if (first_row == 0) first_key_ = rows.keys[0];
  if (rows.keys[0] != file_.blocks().FirstKey(block) ||
      last_key_ != file_.blocks().LastKey(block)) {
    return Damage("first or last key of a block is not that of the block index");
  }
  return Status::OK();
}

// Would a lookup of `key` come to `row`?
Status Verifier::CheckLookup(std::string_view key, int64_t row) {
  const uint64_t hash = HashKey(key, file_.options().hash_seed);
  if (file_.bloom_filter().valid() && !file_.bloom_filter().MayContain(hash)) {
    return Damage("a key is missing in the bloom filter");
  }
  const PointIndex& index = file_.point_index();
  if (!index.valid()) return Status::OK();
  uint64_t line = index.HomeLine(hash);
  for (uint64_t n = 0; n < index.line_count(); ++n, line = index.NextLine(line)) {
    for (uint32_t matches = index.Match(line, hash); matches != 0; matches &= matches - 1) {
      if (index.Row(line, std::countr_zero(matches)) == row) return Status::OK();
    }
    if (!index.Overflowed(line)) break;
  }
  return Damage("a key is missing in the point index");
}

Status Verifier::CheckZoneMaps() {
  message_offset_ = -1;
  ARROW_ASSIGN_OR_RAISE(const auto stored, ReadZoneMapsOf(file_));
  ARROW_ASSIGN_OR_RAISE(const auto computed, zone_maps_.FinishBatch());
  return stored->Equals(*computed) ? Status::OK() : Damage("zone maps do not fit the rows");
}

Status Verifier::CheckMeta() {
  const FileMeta& meta = file_.meta();
  KeyBounds bounds;
  if (meta.rows > 0) {
    if (keyed_) {
      bounds.AddRows(first_key_, last_key_);
    } else {
      bounds.AddRows(EncodeRowId(meta.first_row_id),
                     EncodeRowId(meta.first_row_id + meta.rows - 1));
    }
  }
  HiddenStatistics all = statistics_;
  for (const RangeTombstone& tombstone : file_.tombstones().tombstones()) {
    bounds.AddTombstone(tombstone);
    all.sequence_min = std::min(all.sequence_min, tombstone.sequence);
    all.sequence_max = std::max(all.sequence_max, tombstone.sequence);
  }
  FileMeta computed = meta;
  bounds.Store(&computed);
  computed.deletes = all.deletes;
  const bool is_empty = meta.rows == 0 && meta.range_tombstones == 0;
  computed.sequence_min = is_empty ? 0 : all.sequence_min;
  computed.sequence_max = all.sequence_max;
  computed.data_bytes = 0;
  if (const int64_t blocks = file_.blocks().num_blocks(); blocks > 0) {
    const BlockEntry last = file_.blocks().Entry(blocks - 1);
    computed.data_bytes =
        static_cast<uint64_t>(last.message_offset + last.metadata_length + last.body_length -
                              file_.blocks().Entry(0).message_offset);
  }
  return computed == meta ? Status::OK()
                          : Damage("bounds or counts are not those that the manifest has");
}

}  // namespace

Status VerifySst(const SstFile& file) { return Verifier(file).Run(); }

Result<std::shared_ptr<arrow::RecordBatch>> ReadZoneMapsOf(const SstFile& file) {
  ARROW_ASSIGN_OR_RAISE(const auto bytes, file.ReadSection(kSectionZoneMaps));
  auto zones = ParseZoneMaps(std::string_view(*bytes));
  if (!zones.ok()) return file.Damage(zones.status(), -1);
  if ((*zones)->num_rows() != file.blocks().num_blocks() + 1 ||
      (*zones)->num_columns() != 3 * file.schema().stored_schema()->num_fields()) {
    return file.Damage("zone maps of another file");
  }
  return zones;
}

}  // namespace marble

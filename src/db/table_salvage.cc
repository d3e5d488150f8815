#include "db/table_salvage.h"

#include <numeric>
#include <utility>

#include <marble/error.h>

#include "db/survey.h"
#include "sst/file_meta.h"

namespace marble {

namespace {

class SalvageReader : public SortedReader {
 public:
  SalvageReader(std::shared_ptr<SstReader> file, std::string path,
                std::shared_ptr<const StoredSchema> schema, std::function<void(Finding)> lost)
      : file_(std::move(file)),
        path_(std::move(path)),
        schema_(std::move(schema)),
        lost_(std::move(lost)),
        columns_(static_cast<size_t>(schema_->stored_schema()->num_fields())) {
    std::iota(columns_.begin(), columns_.end(), 0);
  }

  arrow::Result<std::optional<RowBatch>> Next() override {
    for (; block_ < file_->num_blocks(); ++block_) {
      auto rows = file_->ReadBlock(block_, columns_, /*want_keys=*/true);
      const arrow::Status valid = rows.ok() ? Check(&*rows) : rows.status();
      if (valid.IsOutOfMemory()) return valid;
      if (!valid.ok()) {
        Lose(valid, block_);
        continue;
      }
      TellLost();
      ++block_;
      return std::optional<RowBatch>(std::move(*rows));
    }
    TellLost();
    return std::nullopt;
  }

 private:
  /// In full: what comes out is handed on to code that trusts it. The block index is not believed
  /// about repeated keys.
  arrow::Status Check(RowBatch* rows) {
    const arrow::Status valid = rows->columns->ValidateFull();
    if (!valid.ok()) return file_->DamagedBlock(block_, valid);
    if (schema_->is_append()) return arrow::Status::OK();
    const auto unique = CheckRowOrder(*rows, last_key_);
    if (!unique.ok()) return file_->DamagedBlock(block_, unique.status());
    rows->unique_keys = *unique;
    last_key_ = rows->keys[rows->num_rows() - 1];
    return arrow::Status::OK();
  }

  void Lose(const arrow::Status& status, int64_t block) {
    if (!stretch_.has_value()) {
      stretch_ = FindingOf(status, path_);
      stretch_->rows = 0;
      stretch_->first_key = Bound(block, /*first=*/true);
    }
    stretch_->rows += file_->BlockFirstRow(block + 1) - file_->BlockFirstRow(block);
    stretch_->last_key = Bound(block, /*first=*/false);
  }

  std::string Bound(int64_t block, bool first) const {
    if (schema_->is_append()) {
      const int64_t row = first ? file_->BlockFirstRow(block) : file_->BlockFirstRow(block + 1) - 1;
      return KeyText(*schema_,
                     EncodeRowId(file_->meta().first_row_id + static_cast<uint64_t>(row)));
    }
    const auto key = first ? file_->BlockFirstKey(block) : file_->BlockLastKey(block);
    return key.ok() ? KeyText(*schema_, *key) : "";
  }

  void TellLost() {
    if (!stretch_.has_value()) return;
    lost_(*std::move(stretch_));
    stretch_.reset();
  }

  const std::shared_ptr<SstReader> file_;
  const std::string path_;
  const std::shared_ptr<const StoredSchema> schema_;
  const std::function<void(Finding)> lost_;
  std::vector<int> columns_;
  int64_t block_ = 0;
  std::optional<std::string> last_key_;  // of the blocks so far
  std::optional<Finding> stretch_;       // blocks one after the other that could not be read
};

}  // namespace

std::unique_ptr<SortedReader> NewSalvageReader(std::shared_ptr<SstReader> file,
                                               const std::string& path,
                                               std::shared_ptr<const StoredSchema> schema,
                                               std::function<void(Finding)> lost) {
  return std::make_unique<SalvageReader>(std::move(file), path, std::move(schema), std::move(lost));
}

OpenedForSalvage OpenForSalvage(SstReaderOptions options, const FileMeta& meta) {
  auto whole = SstReader::Open(options, meta);
  if (whole.ok()) return {arrow::Status::OK(), *std::move(whole)};
  const arrow::Status status = whole.status();
  if (status.IsOutOfMemory() || IsIncompatibleFormat(status)) return {status, nullptr};
  options.rows_only = true;
  auto rows = SstReader::Open(std::move(options), meta);
  if (rows.status().IsOutOfMemory()) return {rows.status(), nullptr};
  return {status, std::move(rows).ValueOr(nullptr)};
}

Finding RowsOnlyFinding(const arrow::Status& status, const std::string& path,
                        const SstReader& rows_only) {
  Finding finding = FindingOf(status, path);
  finding.rows = 0;
  if (rows_only.range_tombstones().empty() && rows_only.meta().range_tombstones > 0) {
    finding.what += "; what its range deletes had hidden may be back";
  } else {
    finding.what += " (what rows are lost by it is told of blocks)";
  }
  return finding;
}

arrow::Status FindLostBlocks(std::shared_ptr<SstReader> file, const std::string& path,
                             std::shared_ptr<const StoredSchema> schema,
                             std::function<void(Finding)> lost) {
  const auto reader = NewSalvageReader(std::move(file), path, std::move(schema), std::move(lost));
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto rows, reader->Next());
    if (!rows.has_value()) return arrow::Status::OK();
  }
}

}  // namespace marble

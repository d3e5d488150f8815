#include "table/split_keys.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

namespace marble {
namespace {

using Files = std::vector<std::shared_ptr<const TableFile>>;

constexpr double kPartBytes = 64 << 20;
// More files than this are parts enough, and opening all of them for their blocks would take long.
constexpr size_t kFilesOpenedMax = 8;

int64_t RowsOf(const Files& files) {
  int64_t rows = 0;
  for (const auto& file : files) rows += static_cast<int64_t>(file->meta().rows);
  return rows;
}

/// The files whose bounds are looked at, by key: all of an append table, else the largest run.
Files FilesOf(const TableView& view) {
  Files chosen;
  for (const Source& source : view.sources) {
    if (source.run == nullptr) continue;
    if (view.schema->is_append()) {
      chosen.insert(chosen.end(), source.run->files.begin(), source.run->files.end());
    } else if (RowsOf(source.run->files) > RowsOf(chosen)) {
      chosen = source.run->files;
    }
  }
  std::erase_if(chosen, [](const auto& file) { return file->meta().rows == 0; });
  if (view.schema->is_append()) {
    std::ranges::sort(chosen, {}, [](const auto& file) { return file->meta().first_row_id; });
  }
  return chosen;
}

class Splitter {
 public:
  Splitter(bool is_append, int64_t rows_per_part)
      : is_append_(is_append), rows_per_part_(static_cast<double>(rows_per_part)) {}

  /// A part of 1.0 is full.
  double Size(const FileMeta& meta) const {
    return std::max(static_cast<double>(meta.rows) / rows_per_part_,
                    static_cast<double>(meta.data_bytes) / kPartBytes);
  }

  arrow::Status AddFile(const TableFile& file, bool may_open) {
    const FileMeta& meta = file.meta();
    const double size = Size(meta);
    if (!may_open || size < 1.5) {
      Begin(KeyOf(meta));
      size_ += size;
      return arrow::Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(const auto reader, file.shared_reader());
    const double size_of_row = size / static_cast<double>(meta.rows);
    for (int64_t block = 0; block < reader->num_blocks(); ++block) {
      ARROW_RETURN_NOT_OK(BeginBlock(*reader, block));
      const int64_t rows = reader->BlockFirstRow(block + 1) - reader->BlockFirstRow(block);
      size_ += static_cast<double>(rows) * size_of_row;
    }
    return arrow::Status::OK();
  }

  std::vector<std::string> Take() { return std::move(keys_); }

 private:
  std::string KeyOf(const FileMeta& meta) const {
    return is_append_ ? EncodeRowId(meta.first_row_id) : meta.smallest;
  }

  arrow::Status BeginBlock(const SstReader& reader, int64_t block) {
    if (size_ < 1.0) return arrow::Status::OK();
    ARROW_ASSIGN_OR_RAISE(std::string key, FirstKeyOf(reader, block, is_append_));
    Begin(std::move(key));
    return arrow::Status::OK();
  }

  /// Rows from `key` on come next.
  void Begin(std::string key) {
    if (size_ < 1.0 || key.empty() || (!keys_.empty() && key <= keys_.back())) return;
    keys_.push_back(std::move(key));
    size_ = 0;
  }

  const bool is_append_;
  const double rows_per_part_;
  double size_ = 0;  // of the part that is being filled
  std::vector<std::string> keys_;
};

}  // namespace

arrow::Result<std::vector<std::string>> SplitKeys(const TableView& view, int64_t rows_per_part) {
  const Files files = FilesOf(view);
  Splitter splitter(view.schema->is_append(), rows_per_part);
  double size = 0;
  for (const auto& file : files) size += splitter.Size(file->meta());
  if (size < 1.5) return std::vector<std::string>();
  for (const auto& file : files) {
    ARROW_RETURN_NOT_OK(splitter.AddFile(*file, files.size() <= kFilesOpenedMax));
  }
  return splitter.Take();
}

}  // namespace marble

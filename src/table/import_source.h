// Where an import's rows come from: a file of one of the formats, batch after batch, through
// Arrow's readers. For one thread (Arrow decodes on its own). Bytes of the file are hostile: what
// comes out is valid, and nothing throws.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/type.h>

#include <marble/transfer.h>

#include "table/file_streams.h"

namespace marble {

/// Bytes of a batch that readers which can choose aim at.
inline constexpr int64_t kImportBatchBytes = int64_t{16} << 20;
inline constexpr int64_t kImportBatchRows = 16 * 1024;

class ImportSource {
 public:
  virtual ~ImportSource() = default;
  /// The columns of the file.
  virtual const std::shared_ptr<arrow::Schema>& schema() const = 0;
  /// Which of them are wanted: indices, ascending. Once, before Next.
  virtual arrow::Status Select(const std::vector<int>& wanted) = 0;
  /// Rows with these columns, and maybe others; nullptr at the end.
  virtual arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
  /// Bytes of the file that are read, about.
  virtual int64_t bytes_done() const = 0;
};

struct CsvReadOptions {
  char delimiter = ',';
  std::vector<std::string> nulls;
  /// Its types are what columns of these names are read as.
  std::shared_ptr<arrow::Schema> table;
};

arrow::Result<std::unique_ptr<ImportSource>> OpenParquetSource(std::shared_ptr<FileInput> input,
                                                               int64_t memory);
/// `stream`: the format without a footer. What the file makes Arrow allocate at a time is refused
/// above `memory` bytes, or a multiple of the file's size if that is more.
arrow::Result<std::unique_ptr<ImportSource>> OpenIpcSource(std::shared_ptr<FileInput> input,
                                                           bool stream, int64_t memory);
arrow::Result<std::unique_ptr<ImportSource>> OpenCsvSource(std::shared_ptr<FileInput> input,
                                                           CsvReadOptions options);

}  // namespace marble

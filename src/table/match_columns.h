// Rows of a file as rows of a table: columns matched by name, types cast where nothing is lost.
// Immutable.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/type.h>

namespace marble {

class ColumnMatch {
 public:
  /// `names`: table and file, for errors. Refuses columns that stand twice, that the table lacks
  /// (unless `ignore_unknown`), that it must have and the file has not, and types that do not fit.
  static arrow::Result<ColumnMatch> Make(const arrow::Schema& file,
                                         std::shared_ptr<arrow::Schema> table, std::string names,
                                         bool ignore_unknown);

  /// Indices of the file's columns that are wanted, ascending.
  const std::vector<int>& wanted() const { return wanted_; }

  /// A batch of the table's schema. `batch` is valid and has at least the columns wanted, each
  /// name once.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Apply(const arrow::RecordBatch& batch) const;

 private:
  std::shared_ptr<arrow::Schema> table_;
  std::string names_;
  std::vector<int> wanted_;
};

}  // namespace marble

// A load of any size in one commit, in files from the first row on.
#include <utility>

#include <marble/transfer.h>

#include "table/row_loader.h"

namespace marble {

arrow::Result<int64_t> BulkLoad(const std::shared_ptr<Table>& table, arrow::RecordBatchReader* rows,
                                const WriteOptions& options) {
  if (table == nullptr || rows == nullptr) {
    return arrow::Status::Invalid("BulkLoad needs a table and a reader, not null");
  }
  ARROW_ASSIGN_OR_RAISE(auto core, table->database()->core());
  RowLoader loader(std::move(core), table->state(), table->database()->options().memory_budget);
  ARROW_RETURN_NOT_OK(loader.AddAll(rows));
  // A handle that was closed meanwhile writes no more, though others keep the database open.
  ARROW_RETURN_NOT_OK(table->database()->core().status());
  ARROW_RETURN_NOT_OK(loader.CommitInFiles(options));
  return loader.rows();
}

}  // namespace marble

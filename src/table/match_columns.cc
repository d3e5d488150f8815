#include "table/match_columns.h"

#include <algorithm>
#include <utility>

#include <arrow/array/util.h>

#include "table/lossless_cast.h"

namespace marble {
namespace {

arrow::Status Misfit(const std::string& names, const arrow::Field& from, const arrow::Field& to,
                     const std::string& why) {
  return arrow::Status::TypeError(names, ": column '", to.name(), "' is ", from.type()->ToString(),
                                  " in the file and ", to.type()->ToString(), " in the table",
                                  why.empty() ? ", which cannot keep every value" : ": ", why);
}

}  // namespace

arrow::Result<ColumnMatch> ColumnMatch::Make(const arrow::Schema& file,
                                             std::shared_ptr<arrow::Schema> table,
                                             std::string names, bool ignore_unknown) {
  ColumnMatch match;
  for (int i = 0; i < file.num_fields(); ++i) {
    const std::string& name = file.field(i)->name();
    if (table->GetFieldIndex(name) >= 0) {
      match.wanted_.push_back(i);
    } else if (!ignore_unknown) {
      return arrow::Status::TypeError(names, ": column '", name, "' is not in the table");
    }
  }
  for (const auto& field : table->fields()) {
    const std::vector<int> found = file.GetAllFieldIndices(field->name());
    if (found.size() > 1) {
      return arrow::Status::TypeError(names, ": the file has ", found.size(), " columns '",
                                      field->name(), "'");
    }
    if (found.empty()) {
      if (field->nullable()) continue;
      return arrow::Status::TypeError(names, ": the file has no column '", field->name(),
                                      "', which cannot be null in the table");
    }
    const arrow::Field& from = *file.field(found.front());
    if (!IsLossless(*from.type(), *field->type())) return Misfit(names, from, *field, "");
  }
  match.table_ = std::move(table);
  match.names_ = std::move(names);
  return match;
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> ColumnMatch::Apply(
    const arrow::RecordBatch& batch) const {
  arrow::ArrayVector arrays;
  arrays.reserve(static_cast<size_t>(table_->num_fields()));
  for (const auto& field : table_->fields()) {
    const int index = batch.schema()->GetFieldIndex(field->name());
    if (index < 0) {
      ARROW_ASSIGN_OR_RAISE(auto nulls, arrow::MakeArrayOfNull(field->type(), batch.num_rows()));
      arrays.push_back(std::move(nulls));
      continue;
    }
    auto cast = CastLossless(batch.column(index), field->type());
    const arrow::Status status = cast.ok() ? (*cast)->Validate() : cast.status();
    if (!status.ok()) {
      return Misfit(names_, *batch.schema()->field(index), *field, status.message());
    }
    arrays.push_back(*std::move(cast));
  }
  return arrow::RecordBatch::Make(table_, batch.num_rows(), std::move(arrays));
}

}  // namespace marble

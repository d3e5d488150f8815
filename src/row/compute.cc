#include "row/compute.h"

#include <arrow/compute/api_vector.h>
#include <arrow/compute/exec.h>
#include <arrow/compute/initialize.h>
#include <arrow/datum.h>
#include <arrow/util/checked_cast.h>

namespace marble {

arrow::Status InitializeCompute() {
  static const arrow::Status status = arrow::compute::Initialize();
  return status;
}

arrow::Result<std::shared_ptr<arrow::Array>> TakeRows(const std::shared_ptr<arrow::Array>& values,
                                                      const std::shared_ptr<arrow::Array>& indices,
                                                      arrow::MemoryPool* pool) {
  ARROW_RETURN_NOT_OK(InitializeCompute());
  arrow::compute::ExecContext context(pool);
  context.set_use_threads(false);
  ARROW_ASSIGN_OR_RAISE(
      const arrow::Datum taken,
      arrow::compute::Take(arrow::Datum(values), arrow::Datum(indices),
                           arrow::compute::TakeOptions::NoBoundsCheck(), &context));
  return taken.make_array();
}

arrow::Result<std::shared_ptr<arrow::DictionaryArray>> EncodeDictionary(
    const std::shared_ptr<arrow::Array>& values, arrow::MemoryPool* pool) {
  ARROW_RETURN_NOT_OK(InitializeCompute());
  arrow::compute::ExecContext context(pool);
  context.set_use_threads(false);
  ARROW_ASSIGN_OR_RAISE(
      const arrow::Datum encoded,
      arrow::compute::DictionaryEncode(
          arrow::Datum(values), arrow::compute::DictionaryEncodeOptions::Defaults(), &context));
  return arrow::internal::checked_pointer_cast<arrow::DictionaryArray>(encoded.make_array());
}

}  // namespace marble

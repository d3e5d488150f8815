// The rows of the benchmarks of tables in C++: events of some 64 bytes.
#pragma once

#include <cstdint>
#include <memory>

#include <arrow/record_batch.h>
#include <arrow/type.h>

namespace marble::benchmark {

std::shared_ptr<arrow::Schema> EventSchema();

/// Rows [first, first + rows), their keys ascending or scattered.
std::shared_ptr<arrow::RecordBatch> MakeEvents(int64_t first, int64_t rows, bool ascending);

}  // namespace marble::benchmark

// Times of Parquet's INT96 columns, as Spark, Hive and Impala write them: a day of 32 bits and the
// nanoseconds in it. Arrow reads them as nanoseconds, which wrap around outside of the years 1677
// to 2262, or as microseconds, which lose digits, and says neither. Value, used by one thread.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/type_fwd.h>

namespace marble {

class Int96Times {
 public:
  /// The same rows of INT96 columns, read in either unit.
  void See(const arrow::RecordBatch& nanos, const arrow::RecordBatch& micros);
  /// The unit that all times seen can be read in without loss; Invalid if there is none.
  arrow::Result<arrow::TimeUnit::type> Unit() const;

 private:
  void See(const arrow::ArrayData& nanos, const arrow::ArrayData& micros);

  bool any_far_ = false;   // beyond nanoseconds
  bool any_fine_ = false;  // between microseconds
};

}  // namespace marble

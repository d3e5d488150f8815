// What a fuzz target consists of, for libFuzzer and for the driver in driver.cc alike. A target is
// one file that defines the functions and the limit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/status.h>

/// Runs one input. Whatever the bytes, it returns 0: findings are crashes, reports of sanitizers,
/// and calls of Fail.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace marble::fuzz {

/// Seconds of processor time, of all threads, that an input may take without sanitizers.
extern const int kSecondsMax;

/// Makes checksums of a mutated input right again, so that the mutation reaches the parser behind
/// them. Any bytes are fine.
void Reseal(std::string* input);

/// Prints what is wrong and aborts; the input is kept as a finding.
[[noreturn]] void Fail(const std::string& what);
inline void FailUnless(bool condition, const std::string& what) {
  if (!condition) Fail(what);
}
inline void FailUnlessOk(const arrow::Status& status, const std::string& what) {
  if (!status.ok()) Fail(what + ": " + status.ToString());
}

/// Looks at every value of the first rows. What a forged file holds need not be valid (its text may
/// be no UTF-8), but all of it lies in memory of its own.
inline void ReadValues(const arrow::RecordBatch& batch) {
  constexpr int64_t kRowsMax = 256;
  for (const auto& column : batch.columns()) {
    FailUnlessOk(column->Validate(), "rows that were taken for valid");
    for (int64_t i = 0; i < std::min(kRowsMax, column->length()); ++i) {
      const auto value = column->GetScalar(i);
      if (value.ok()) static_cast<void>((*value)->hash());
    }
  }
}

}  // namespace marble::fuzz

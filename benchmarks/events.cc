#include "events.h"

#include <arrow/api.h>

#include "support.h"

namespace marble::benchmark {

std::shared_ptr<arrow::Schema> EventSchema() {
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("ts", arrow::int64()), arrow::field("user", arrow::int64()),
                        arrow::field("amount", arrow::float64()),
                        arrow::field("note", arrow::utf8())});
}

std::shared_ptr<arrow::RecordBatch> MakeEvents(int64_t first, int64_t rows, bool ascending) {
  arrow::Int64Builder id;
  arrow::Int64Builder ts;
  arrow::Int64Builder user;
  arrow::DoubleBuilder amount;
  arrow::StringBuilder note;
  for (int64_t i = first; i < first + rows; ++i) {
    const uint64_t bits = Scatter(static_cast<uint64_t>(i) + 1);
    Check(id.Append(ascending ? i : static_cast<int64_t>(bits >> 1)));
    Check(ts.Append(i));
    Check(user.Append(static_cast<int64_t>(bits % 100'000)));
    Check(amount.Append(static_cast<double>(bits % 10'000) / 100));
    Check(note.Append(KeyOf(static_cast<uint64_t>(i)) + "--------"));
  }
  return arrow::RecordBatch::Make(EventSchema(), rows,
                                  {Check(id.Finish()), Check(ts.Finish()), Check(user.Finish()),
                                   Check(amount.Finish()), Check(note.Finish())});
}

}  // namespace marble::benchmark

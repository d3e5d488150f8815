// Rows of the model test in plain C++: keys, payloads from which all other columns follow, and the
// Arrow batches made of them. Knows nothing of how the engine encodes or orders keys.
//
// A payload is one number; the columns of its row are functions of it. So an oracle needs eight
// bytes a row, and what a scan returns is compared with a batch built anew.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/api.h>
#include <arrow/compute/expression.h>

#include <marble/scan.h>

#include "support/random.h"

namespace marble::test {

/// Tables of the model. Key-value: {key, value}. Number: keyed by one int64. Composite: keyed by
/// (utf8, timestamp). Append: no key; `number` is the event column.
enum class Shape { kKeyValue = 0, kNumber = 1, kComposite = 2, kAppend = 3 };
inline constexpr int kShapeCount = 4;

/// Ordered as the engine promises: text bytewise, then number.
struct ModelKey {
  std::string text;
  int64_t number = 0;
  auto operator<=>(const ModelKey&) const = default;
};

struct ModelRow {
  ModelKey key;
  uint64_t payload = 0;
};

using ModelRows = std::map<ModelKey, uint64_t>;

/// The value of a payload in the key-value table.
std::string ValueOf(uint64_t payload);
std::optional<double> AmountOf(uint64_t payload);
std::optional<std::string> NoteOf(uint64_t payload);
inline bool FlagOf(uint64_t payload) { return (payload >> 20) % 3 == 0; }

/// The key of a number below a bound: a few hard ones (empty, zero byte, long, smallest, greatest)
/// and then plain ones. `binary` allows bytes that are not UTF-8.
ModelKey KeyOf(Shape shape, uint64_t index, bool binary);

std::shared_ptr<arrow::Schema> SchemaOf(Shape shape, bool binary);
std::vector<std::string> PrimaryKeyOf(Shape shape);

/// A batch of `schema` (of the shape, or a projection of it) with these rows.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> BuildBatch(
    const std::shared_ptr<arrow::Schema>& schema, std::span<const ModelRow> rows);

/// The fields named, in that order.
std::shared_ptr<arrow::Schema> Project(const arrow::Schema& schema,
                                       const std::vector<std::string>& columns);

/// A range of keys, both ends optional; the upper is exclusive.
struct ModelRange {
  std::optional<ModelKey> lower;
  std::optional<ModelKey> upper;
  bool lower_is_prefix = false;  // composite keys: only the text is given
  bool upper_is_prefix = false;

  KeyRange ToKeyRange(Shape shape, bool binary) const;
  ModelRows::const_iterator Begin(const ModelRows& rows) const;
  ModelRows::const_iterator End(const ModelRows& rows) const;
};

/// A condition on rows, as an expression and as a function, with SQL's view of null.
struct ModelFilter {
  enum class Kind { kNone, kAmountAbove, kNoteIsNull, kFlag, kFlagAndAmountBelow, kText, kNumber };
  Kind kind = Kind::kNone;
  double amount = 0;
  ModelKey key;

  arrow::compute::Expression ToExpression(Shape shape, bool binary) const;
  bool Keeps(const ModelRow& row) const;
};

ModelFilter RandomFilter(Shape shape, Random* random, const ModelKey& key);

}  // namespace marble::test

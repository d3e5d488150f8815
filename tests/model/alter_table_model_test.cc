// A table whose columns are added, dropped, renamed, widened and moved at random, between upserts,
// deletes, flushes, compactions and reopenings, beside rows in memory that remember what every cell
// was written as. MARBLE_ALTER_OPERATIONS sets the operations of each option set, MARBLE_SEED the
// seed.
#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <arrow/compute/api.h>
#include <arrow/compute/expression.h>
#include <gtest/gtest.h>

#include <marble/schema_change.h>

#include "support/random.h"
#include "support/test_database.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

namespace compute = arrow::compute;
using ScalarPtr = std::shared_ptr<arrow::Scalar>;
using TypePtr = std::shared_ptr<arrow::DataType>;

constexpr int64_t kOperations = 350;
constexpr int64_t kKeys = 150;
constexpr size_t kColumnsMax = 8;

/// The types a column goes through as it is widened.
const std::vector<std::vector<TypePtr>>& WideningPaths() {
  static const std::vector<std::vector<TypePtr>> paths = {
      {arrow::int8(), arrow::int16(), arrow::int32(), arrow::int64()},
      {arrow::uint8(), arrow::int32(), arrow::float64()},
      {arrow::utf8(), arrow::large_utf8()},
      {arrow::float32(), arrow::float64()},
      {arrow::decimal128(5, 2), arrow::decimal128(9, 3)},
  };
  return paths;
}

struct ModelColumn {
  int id = 0;  // of the model: never given twice
  std::string name;
  size_t path = 0;
  size_t step = 0;
  ScalarPtr default_value;  // null for null

  const TypePtr& type() const { return WideningPaths()[path][step]; }
};

class AlterModel {
 public:
  AlterModel(uint64_t seed, Compression compression)
      : random_(seed), database_(TinyOptions()), compression_(compression) {}

  arrow::Status Run(int64_t operations) {
    ARROW_RETURN_NOT_OK(database_.Open());
    TableOptions options;
    options.primary_key = {"id"};
    options.compression = compression_;
    options.block_rows_max = 16;
    ARROW_RETURN_NOT_OK(database_->CreateTable("t", Schema(), options));
    ARROW_RETURN_NOT_OK(OpenTable());
    for (int64_t i = 0; i < operations; ++i) {
      const arrow::Status status = Step();
      if (!status.ok()) return status.WithMessage("operation ", i, ": ", status.message());
    }
    return CheckAll();
  }

 private:
  arrow::Status OpenTable() { return Table::Open(database_.get(), "t").Value(&table_); }
  arrow::Status Step() {
    switch (random_.Uniform(20)) {
      case 0:
        return database_->Flush();
      case 1:
        return database_->Compact();
      case 2:
        table_.reset();
        ARROW_RETURN_NOT_OK(database_.Reopen());
        return OpenTable();
      case 3:
      case 4:
      case 5:
        return Alter();
      case 6:
      case 7:
        return Delete();
      case 8:
      case 9:
        return CheckAll();
      case 10:
        return CheckGet();
      case 11:
      case 12:
        return CheckFilter();
      default:
        return Insert();
    }
  }

  std::shared_ptr<arrow::Schema> Schema() const {
    arrow::FieldVector fields;
    for (const ModelColumn& column : columns_) {
      fields.push_back(arrow::field(column.name, column.type()));
    }
    fields.insert(fields.begin() + static_cast<std::ptrdiff_t>(key_place_),
                  arrow::field("id", arrow::int64(), false));
    return arrow::schema(std::move(fields));
  }

  ScalarPtr RandomValue(const ModelColumn& column) {
    if (random_.OneIn(5)) return nullptr;
    // What the first type of the path holds, the wider ones hold as well.
    const TypePtr& narrow = WideningPaths()[column.path].front();
    const std::string text = narrow->id() == arrow::Type::STRING
                                 ? "text " + std::to_string(random_.Uniform(20))
                                 : std::to_string(random_.Uniform(100));
    if (narrow->id() == arrow::Type::DECIMAL128) {
      return arrow::MakeScalar(narrow, arrow::Decimal128(100 * random_.Between(-9, 9)))
          .ValueOrDie();
    }
    return arrow::Scalar::Parse(narrow, text).ValueOrDie();
  }

  static arrow::Result<std::shared_ptr<arrow::Array>> Column(const TypePtr& type,
                                                             const std::vector<ScalarPtr>& cells) {
    // Cast from what each cell was written as, one by one: slow and plain.
    arrow::ArrayVector parts;
    for (const ScalarPtr& cell : cells) {
      if (cell == nullptr) {
        ARROW_ASSIGN_OR_RAISE(parts.emplace_back(), arrow::MakeArrayOfNull(type, 1));
        continue;
      }
      ARROW_ASSIGN_OR_RAISE(const auto cast, compute::Cast(cell, type));
      ARROW_ASSIGN_OR_RAISE(parts.emplace_back(), arrow::MakeArrayFromScalar(*cast.scalar(), 1));
    }
    if (parts.empty()) return arrow::MakeEmptyArray(type);
    return arrow::Concatenate(parts);
  }

  using Row = std::map<int, ScalarPtr>;  // by model column
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Batch(
      const std::vector<std::pair<int64_t, Row>>& rows) const {
    arrow::ArrayVector arrays;
    for (const ModelColumn& column : columns_) {
      std::vector<ScalarPtr> cells;
      for (const auto& [key, row] : rows) {
        const auto found = row.find(column.id);
        cells.push_back(found == row.end() ? column.default_value : found->second);
      }
      ARROW_ASSIGN_OR_RAISE(arrays.emplace_back(), Column(column.type(), cells));
    }
    std::vector<ScalarPtr> keys;
    for (const auto& [key, row] : rows) keys.push_back(arrow::MakeScalar(key));
    ARROW_ASSIGN_OR_RAISE(auto key_array, Column(arrow::int64(), keys));
    arrays.insert(arrays.begin() + static_cast<std::ptrdiff_t>(key_place_), key_array);
    return arrow::RecordBatch::Make(Schema(), static_cast<int64_t>(rows.size()), arrays);
  }

  arrow::Status Insert() {
    std::map<int64_t, Row> rows;
    for (uint64_t n = 1 + random_.Uniform(20); n > 0; --n) {
      Row& row = rows[random_.Between(0, kKeys - 1)];
      for (const ModelColumn& column : columns_) row[column.id] = RandomValue(column);
    }
    ARROW_ASSIGN_OR_RAISE(auto batch, Batch({rows.begin(), rows.end()}));
    for (auto& [key, row] : rows) rows_[key] = std::move(row);
    return table_->Insert(batch);
  }

  arrow::Status Delete() {
    const int64_t key = random_.Between(0, kKeys - 1);
    rows_.erase(key);
    ARROW_ASSIGN_OR_RAISE(auto keys,
                          BatchFromJson(arrow::schema({arrow::field("id", arrow::int64())}),
                                        {"[" + std::to_string(key) + "]"}));
    return table_->Delete(keys);
  }

  std::string NewName() const {
    for (int i = 0;; ++i) {
      std::string name = "c" + std::to_string(i);
      if (std::ranges::none_of(columns_, [&](const auto& c) { return c.name == name; })) {
        return name;
      }
    }
  }

  arrow::Status Alter() {
    SchemaChange change;
    for (uint64_t n = 1 + random_.Uniform(3); n > 0; --n) AddStep(&change);
    ARROW_RETURN_NOT_OK(database_->AlterTable("t", change));
    if (table_->info().schema->Equals(*Schema(), /*check_metadata=*/false)) {
      return arrow::Status::OK();
    }
    return arrow::Status::Invalid("the schema is ", table_->info().schema->ToString(), " and not ",
                                  Schema()->ToString());
  }

  void AddStep(SchemaChange* change) {
    const uint64_t kind = random_.Uniform(5);
    if (columns_.empty() || (kind == 0 && columns_.size() < kColumnsMax)) {
      ModelColumn column;
      column.id = next_id_++;
      column.name = NewName();
      column.path = random_.Uniform(WideningPaths().size());
      column.default_value = RandomValue(column);
      change->Add(arrow::field(column.name, column.type()), column.default_value);
      columns_.push_back(std::move(column));
      return;
    }
    const size_t place = random_.Uniform(columns_.size());
    ModelColumn& column = columns_[place];
    if (kind == 1) {
      change->Drop(column.name);
      columns_.erase(columns_.begin() + static_cast<std::ptrdiff_t>(place));
      key_place_ = std::min(key_place_, columns_.size());
      // The key keeps its place among the columns that stay.
      ReorderAll(change);
    } else if (kind == 2) {
      const std::string name = NewName();
      change->Rename(column.name, name);
      column.name = name;
    } else if (kind == 3 && column.step + 1 < WideningPaths()[column.path].size()) {
      ++column.step;
      change->Widen(column.name, column.type());
    } else {
      std::swap(columns_[random_.Uniform(columns_.size())], column);
      key_place_ = random_.Uniform(columns_.size() + 1);
      ReorderAll(change);
    }
  }

  void ReorderAll(SchemaChange* change) { change->Reorder(Schema()->field_names()); }

  arrow::Status Compare(const std::shared_ptr<arrow::RecordBatch>& expected,
                        const std::shared_ptr<arrow::Table>& found, const char* what) const {
    const testing::AssertionResult same = SameRows(expected, found);
    if (same) return arrow::Status::OK();
    return arrow::Status::Invalid(what, ": ", same.message());
  }

  arrow::Status CheckAll() {
    ARROW_ASSIGN_OR_RAISE(auto expected, Batch({rows_.begin(), rows_.end()}));
    ARROW_ASSIGN_OR_RAISE(auto found, ScanAll(*table_));
    return Compare(expected, found, "scan");
  }

  arrow::Status CheckGet() {
    std::vector<std::pair<int64_t, Row>> rows;
    std::string keys;
    for (int i = 0; i < 10; ++i) {
      const int64_t key = random_.Between(0, kKeys - 1);
      keys += (i == 0 ? "[" : ", ") + std::to_string(key);
      if (const auto row = rows_.find(key); row != rows_.end()) rows.push_back(*row);
    }
    ARROW_ASSIGN_OR_RAISE(
        auto batch,
        BatchFromJson(arrow::schema({arrow::field("id", arrow::int64())}), {keys + "]"}));
    ARROW_ASSIGN_OR_RAISE(auto found, table_->Get(batch));
    ARROW_ASSIGN_OR_RAISE(auto expected, Batch(rows));
    ARROW_ASSIGN_OR_RAISE(auto found_table, arrow::Table::FromRecordBatches({found}));
    return Compare(expected, found_table, "get");
  }

  arrow::Status CheckFilter() {
    if (columns_.empty()) return arrow::Status::OK();
    const ModelColumn& column = columns_[random_.Uniform(columns_.size())];
    const ScalarPtr value = RandomValue(column);
    const auto field = compute::field_ref(column.name);
    compute::Expression filter = compute::is_null(field);
    if (value != nullptr) {
      ARROW_ASSIGN_OR_RAISE(const auto cast, compute::Cast(value, column.type()));
      filter = random_.OneIn(2) ? compute::greater_equal(field, compute::literal(cast))
                                : compute::equal(field, compute::literal(cast));
    }
    ScanOptions options;
    options.filter = filter;
    ARROW_ASSIGN_OR_RAISE(auto found, ScanAll(*table_, options));
    ARROW_ASSIGN_OR_RAISE(auto all, Batch({rows_.begin(), rows_.end()}));
    ARROW_ASSIGN_OR_RAISE(const auto bound, filter.Bind(*all->schema()));
    ARROW_ASSIGN_OR_RAISE(const auto kept,
                          compute::ExecuteScalarExpression(bound, compute::ExecBatch(*all)));
    ARROW_ASSIGN_OR_RAISE(const auto expected, compute::Filter(all, kept));
    return Compare(expected.record_batch(), found, "filter");
  }

  Random random_;
  TestDatabase database_;
  const Compression compression_;
  std::shared_ptr<Table> table_;
  std::vector<ModelColumn> columns_;  // without the key
  size_t key_place_ = 0;
  int next_id_ = 0;
  std::map<int64_t, Row> rows_;
};

class AlterModelTest : public testing::TestWithParam<Compression> {};
INSTANTIATE_TEST_SUITE_P(Compressions, AlterModelTest,
                         testing::Values(Compression::kNone, Compression::kZstd));

TEST_P(AlterModelTest, RowsKeepTheirValuesThroughAnyChangesOfTheSchema) {
  const uint64_t seed = SeedOfThisRun();
  std::cout << "MARBLE_SEED=" << seed << std::endl;
  const int64_t operations = NumberFromEnvironment("MARBLE_ALTER_OPERATIONS", kOperations);
  AlterModel model(seed + static_cast<uint64_t>(GetParam()), GetParam());
  ASSERT_OK(model.Run(operations));
}

}  // namespace
}  // namespace marble::test

#include "support/schema_steps.h"

#include <string>
#include <vector>

#include <marble/schema_change.h>
#include <marble/table.h>

#include "support/test_database.h"

namespace marble::test {
namespace {

constexpr char kTable[] = "altered";

std::shared_ptr<arrow::Schema> FirstSchema() {
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("count", arrow::int32()),
                        arrow::field("name", arrow::utf8())});
}

arrow::Status InsertRow(const std::shared_ptr<Database>& database,
                        const std::vector<std::string>& columns) {
  ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(database, kTable));
  ARROW_ASSIGN_OR_RAISE(auto row, BatchFromJson(table->info().schema, columns));
  return table->Insert(row, {.sync = true});
}

/// What the table holds after the first `steps` steps, by column.
std::vector<std::string> Expected(int steps) {
  switch (steps) {
    case 1:
      return {"[]", "[]", "[]"};
    case 2:
      return {"[1]", "[10]", R"(["a"])"};
    case 3:
      return {"[1]", "[10]", R"(["a"])", "[5]"};
    case 4:
      return {"[1, 2]", "[10, 9000000000]", R"(["a", "b"])", "[5, 6]"};
    case 5:
      return {"[1, 2]", "[10, 9000000000]", "[5, 6]"};
    default:
      return {"[1, 2]", "[11, 9000000000]", "[7, 6]"};
  }
}

}  // namespace

arrow::Status TakeSchemaStep(const std::shared_ptr<Database>& database, int step) {
  switch (step % kSchemaSteps) {
    case 0:
      return database->CreateTable(kTable, FirstSchema(), {.primary_key = {"id"}});
    case 1:
      return InsertRow(database, {"[1]", "[10]", R"(["a"])"});
    case 2:
      return database->AlterTable(
          kTable, SchemaChange()
                      .Widen("count", arrow::int64())
                      .Add(arrow::field("n", arrow::int8(), false), arrow::MakeScalar(int8_t{5})));
    case 3:
      return InsertRow(database, {"[2]", "[9000000000]", R"(["b"])", "[6]"});
    case 4:
      return database->AlterTable(kTable, SchemaChange().Drop("name").Rename("n", "m"));
    case 5:
      return InsertRow(database, {"[1]", "[11]", "[7]"});
    default:
      return database->DropTable(kTable);
  }
}

arrow::Result<bool> HoldsSchemaSteps(const std::shared_ptr<Database>& database, int steps) {
  auto table = Table::Open(database, kTable);
  if (!table.ok() && !IsNotFound(table.status())) return table.status();
  const int taken = steps % kSchemaSteps;
  if (!table.ok() || taken == 0) return !table.ok() && taken == 0;
  const std::vector<std::string> columns = Expected(taken);
  const auto& schema = (*table)->info().schema;
  if (static_cast<size_t>(schema->num_fields()) != columns.size()) return false;
  ARROW_ASSIGN_OR_RAISE(const auto rows, ScanAll(**table));
  const auto expected = BatchFromJson(schema, columns);
  return expected.ok() && static_cast<bool>(SameRows(*expected, rows));
}

}  // namespace marble::test

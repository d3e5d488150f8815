// Power fails at each operation of a script that changes a table's schema and writes before and
// after: what was acknowledged is there, in the schema of the last step or of the one in doubt.
#include <cerrno>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <marble/schema_change.h>
#include <marble/table.h>

#include "io/memory_file_system.h"
#include "support/random.h"
#include "support/test_database.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

constexpr char kPath[] = "/database";
constexpr int kSteps = 6;

std::shared_ptr<arrow::Schema> FirstSchema() {
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("count", arrow::int32()),
                        arrow::field("name", arrow::utf8())});
}

arrow::Status InsertRow(Database* database, const std::vector<std::string>& columns) {
  ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(database->shared_from_this(), "t"));
  ARROW_ASSIGN_OR_RAISE(auto row, BatchFromJson(table->info().schema, columns));
  return table->Insert(row, {.sync = true});
}

arrow::Status TakeStep(Database* database, int step) {
  switch (step) {
    case 0:
      return database->CreateTable("t", FirstSchema(), {.primary_key = {"id"}});
    case 1:
      return InsertRow(database, {"[1]", "[10]", R"(["a"])"});
    case 2:
      return database->AlterTable(
          "t", SchemaChange()
                   .Widen("count", arrow::int64())
                   .Add(arrow::field("n", arrow::int8(), false), arrow::MakeScalar(int8_t{5})));
    case 3:
      return InsertRow(database, {"[2]", "[9000000000]", R"(["b"])", "[6]"});
    case 4:
      return database->AlterTable("t", SchemaChange().Drop("name").Rename("n", "m"));
    default:
      return InsertRow(database, {"[1]", "[11]", "[7]"});
  }
}

/// What the table holds after the first `steps` steps.
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

bool Holds(const std::shared_ptr<Database>& database, int steps) {
  auto table = Table::Open(database, "t");
  if (!table.ok()) return steps == 0;
  auto rows = ScanAll(**table);
  if (!rows.ok() || steps == 0) return false;
  const auto& schema = (*table)->info().schema;
  if (static_cast<size_t>(schema->num_fields()) != Expected(steps).size()) return false;
  auto expected = BatchFromJson(schema, Expected(steps));
  return expected.ok() && static_cast<bool>(SameRows(*expected, *rows));
}

/// Takes steps until the disk refuses one; their number.
int Live(const Options& options) {
  auto database = Database::Open(kPath, options);
  if (!database.ok()) return 0;
  int steps = 0;
  while (steps < kSteps && TakeStep(database->get(), steps).ok()) ++steps;
  (void)(*database)->Close();  // the disk may refuse that as well
  return steps;
}

TEST(AlterTableCrashTest, WhateverOperationPowerFailsAtASchemaIsTheOldOneOrTheNewOne) {
  const uint64_t seed = SeedOfThisRun();
  std::cout << "MARBLE_SEED=" << seed << std::endl;
  Random random(seed);
  for (const LossPolicy policy : {LossPolicy::kDropAll, LossPolicy::kKeepAll, LossPolicy::kTorn}) {
    int steps = 0;
    for (uint64_t operation = 1; steps < kSteps; ++operation) {
      SCOPED_TRACE("power fails at operation " + std::to_string(operation));
      MemoryFileSystem disk;
      Options options = TinyOptions();
      options.file_system = &disk;
      disk.FailNth(FileOp::kChange, operation, EIO, /*sticky=*/true);
      steps = Live(options);
      disk.ClearFaults();
      disk.LoseUnsynced(policy, random.Next());
      auto database = Database::Open(kPath, options);
      ASSERT_OK(database);
      EXPECT_TRUE(Holds(*database, steps) || Holds(*database, std::min(steps + 1, kSteps)))
          << "after " << steps << " steps";
      // And it goes on from there.
      int from = 0;
      while (from < kSteps && !Holds(*database, from)) ++from;
      for (int step = from; step < kSteps; ++step) ASSERT_OK(TakeStep(database->get(), step));
      EXPECT_TRUE(Holds(*database, kSteps));
      ASSERT_OK((*database)->Close());
    }
  }
}

// The manifest may hold a change that was reported as failed: a row of the old schema must not
// follow it in the log.
TEST(AlterTableCrashTest, ARowWrittenAfterAChangeFailedForWantOfRoomIsReadBack) {
  int refused = 0;
  for (uint64_t n = 1; n <= 24; ++n) {
    // A sync that fails leaves what was written where the next open may find it.
    const FileOp kind = n % 2 == 0 ? FileOp::kSync : FileOp::kChange;
    const uint64_t operation = (n + 1) / 2;
    SCOPED_TRACE(std::string(n % 2 == 0 ? "sync " : "operation ") + std::to_string(operation) +
                 " of the change has no room");
    MemoryFileSystem disk;
    Options options = TinyOptions();
    options.file_system = &disk;
    bool taken = false;
    {
      auto database = Database::Open(kPath, options);
      ASSERT_OK(database);
      ASSERT_OK(TakeStep(database->get(), 0));
      ASSERT_OK(TakeStep(database->get(), 1));
      disk.FailNth(kind, operation, ENOSPC, /*sticky=*/true);
      const bool changed = TakeStep(database->get(), 2).ok();
      disk.ClearFaults();
      if (changed) continue;
      ++refused;
      taken = InsertRow(database->get(), {"[2]", "[20]", R"(["b"])"}).ok();
      disk.FailNth(FileOp::kChange, 1, EIO, /*sticky=*/true);  // no clean close
    }
    disk.ClearFaults();
    // The process is killed; power does not fail, or what could not be synced would be gone.
    auto database = Database::Open(kPath, options);
    ASSERT_OK(database);
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(*database, "t"));
    ASSERT_OK_AND_ASSIGN(const int64_t rows, table->Count());
    EXPECT_EQ(rows, taken ? 2 : 1);
    ASSERT_OK((*database)->Close());
  }
  EXPECT_GT(refused, 3);
}

TEST(AlterTableCrashTest, OneFailedOperationLosesNothingThatWasAcknowledged) {
  uint64_t operations = 0;
  {
    MemoryFileSystem disk;
    Options options = TinyOptions();
    options.file_system = &disk;
    ASSERT_EQ(Live(options), kSteps);
    operations = disk.operations(FileOp::kChange);
  }
  for (uint64_t operation = 1; operation <= operations; ++operation) {
    for (const int error : {EIO, ENOSPC}) {
      SCOPED_TRACE("operation " + std::to_string(operation) + " fails with " +
                   std::to_string(error));
      MemoryFileSystem disk;
      Options options = TinyOptions();
      options.file_system = &disk;
      disk.FailNth(FileOp::kChange, operation, error, /*sticky=*/false);
      const int steps = Live(options);
      disk.ClearFaults();
      auto database = Database::Open(kPath, options);
      ASSERT_OK(database);
      EXPECT_TRUE(Holds(*database, steps) || Holds(*database, std::min(steps + 1, kSteps)))
          << "after " << steps << " steps";
      ASSERT_OK((*database)->Close());
    }
  }
}

}  // namespace
}  // namespace marble::test

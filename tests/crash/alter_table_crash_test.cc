// A change of a schema fails for want of room, and what is written after it must be readable. That
// power or one operation fails at any moment of a change: crash_image_test.cc and io_error_test.cc.
#include <cerrno>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include <marble/table.h>

#include "io/memory_file_system.h"
#include "support/schema_steps.h"
#include "support/test_database.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

constexpr char kPath[] = "/database";
// A row of the schema before its change.
arrow::Status InsertRow(const std::shared_ptr<Database>& database) {
  ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(database, "altered"));
  ARROW_ASSIGN_OR_RAISE(auto row, BatchFromJson(table->info().schema, {"[2]", "[20]", R"(["b"])"}));
  return table->Insert(row, {.sync = true});
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
      ASSERT_OK(TakeSchemaStep(*database, 0));
      ASSERT_OK(TakeSchemaStep(*database, 1));
      disk.FailNth(kind, operation, ENOSPC, /*sticky=*/true);
      const bool changed = TakeSchemaStep(*database, 2).ok();
      disk.ClearFaults();
      if (changed) continue;
      ++refused;
      taken = InsertRow(*database).ok();
      disk.FailNth(FileOp::kChange, 1, EIO, /*sticky=*/true);  // no clean close
    }
    disk.ClearFaults();
    // The process is killed; power does not fail, or what could not be synced would be gone.
    auto database = Database::Open(kPath, options);
    ASSERT_OK(database);
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(*database, "altered"));
    ASSERT_OK_AND_ASSIGN(const int64_t rows, table->Count());
    EXPECT_EQ(rows, taken ? 2 : 1);
    ASSERT_OK((*database)->Close());
  }
  EXPECT_GT(refused, 3);
}

}  // namespace
}  // namespace marble::test

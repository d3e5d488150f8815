// What the behaviour tests share: a directory that goes away, a database in it that can be closed
// and opened again, and batches written as JSON.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/json/from_string.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <marble/database.h>
#include <marble/key_value.h>
#include <marble/table.h>

/// For arrow::Status and arrow::Result alike.
#define ASSERT_OK(expression)                                               \
  do {                                                                      \
    const arrow::Status status_ = ::marble::test::StatusOf((expression));   \
    ASSERT_TRUE(status_.ok()) << #expression << ": " << status_.ToString(); \
  } while (false)

#define MARBLE_TEST_CONCATENATE_(a, b) a##b
#define MARBLE_TEST_CONCATENATE(a, b) MARBLE_TEST_CONCATENATE_(a, b)
#define ASSERT_OK_AND_ASSIGN_(result, declaration, expression)                   \
  auto&& result = (expression);                                                  \
  ASSERT_TRUE(result.ok()) << #expression << ": " << result.status().ToString(); \
  declaration = std::move(result).ValueUnsafe();
#define ASSERT_OK_AND_ASSIGN(declaration, expression) \
  ASSERT_OK_AND_ASSIGN_(MARBLE_TEST_CONCATENATE(result_, __LINE__), declaration, expression)

/// A failed Status whose message has `text` in it.
#define EXPECT_FAILS_WITH(text, expression)                                           \
  do {                                                                                \
    const arrow::Status status_ = ::marble::test::StatusOf((expression));             \
    EXPECT_FALSE(status_.ok()) << #expression;                                        \
    EXPECT_NE(status_.message().find(text), std::string::npos) << status_.ToString(); \
  } while (false)

namespace marble::test {

inline arrow::Status StatusOf(const arrow::Status& status) { return status; }
template <typename T>
arrow::Status StatusOf(const arrow::Result<T>& result) {
  return result.status();
}

/// A new, empty directory, removed with all it holds.
class TestDirectory {
 public:
  TestDirectory() {
    static int count = 0;
    path_ = std::filesystem::path(testing::TempDir()) /
            ("marble_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// A database of its own directory. Check opening with ASSERT_OK(Open()).
class TestDatabase {
 public:
  explicit TestDatabase(Options options = {}) : options_(std::move(options)) {}

  arrow::Status Open() { return Database::Open(directory_.path(), options_).Value(&database_); }
  arrow::Status Close() {
    ARROW_RETURN_NOT_OK(database_->Close());
    database_.reset();
    return arrow::Status::OK();
  }
  arrow::Status Reopen() {
    ARROW_RETURN_NOT_OK(Close());
    return Open();
  }
  const std::shared_ptr<Database>& get() const { return database_; }
  Database* operator->() const { return database_.get(); }
  std::string path() const { return directory_.path(); }
  const Options& options() const { return options_; }

 private:
  Options options_;
  TestDirectory directory_;
  std::shared_ptr<Database> database_;
};

/// A batch of `schema` from one JSON array per column.
inline arrow::Result<std::shared_ptr<arrow::RecordBatch>> BatchFromJson(
    const std::shared_ptr<arrow::Schema>& schema, const std::vector<std::string>& columns) {
  arrow::ArrayVector arrays;
  for (size_t i = 0; i < columns.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto array, arrow::json::ArrayFromJSONString(
                                          schema->field(static_cast<int>(i))->type(), columns[i]));
    arrays.push_back(std::move(array));
  }
  const int64_t rows = arrays.empty() ? 0 : arrays[0]->length();
  return arrow::RecordBatch::Make(schema, rows, std::move(arrays));
}

/// All rows of a scan as one batch per column set, in order.
inline arrow::Result<std::shared_ptr<arrow::Table>> ScanAll(const Table& table,
                                                            const ScanOptions& options = {}) {
  ARROW_ASSIGN_OR_RAISE(auto reader, table.Scan(options));
  return reader->ToTable();
}

/// Equal rows, whatever the chunks and the schemas' metadata and nullability.
inline testing::AssertionResult SameRows(const arrow::Table& expected, const arrow::Table& actual) {
  if (expected.num_rows() != actual.num_rows() || expected.num_columns() != actual.num_columns()) {
    return testing::AssertionFailure() << "expected\n"
                                       << expected.ToString() << "\nbut found\n"
                                       << actual.ToString();
  }
  for (int i = 0; i < expected.num_columns(); ++i) {
    if (expected.field(i)->name() != actual.field(i)->name() ||
        !expected.column(i)->Equals(*actual.column(i))) {
      return testing::AssertionFailure()
             << "column '" << expected.field(i)->name() << "': expected\n"
             << expected.column(i)->ToString() << "\nbut found\n"
             << actual.column(i)->ToString();
    }
  }
  return testing::AssertionSuccess();
}

inline testing::AssertionResult SameRows(const std::shared_ptr<arrow::RecordBatch>& expected,
                                         const std::shared_ptr<arrow::Table>& actual) {
  auto table = arrow::Table::FromRecordBatches({expected});
  if (!table.ok()) return testing::AssertionFailure() << table.status().ToString();
  return SameRows(**table, *actual);
}

inline testing::AssertionResult SameRows(const std::shared_ptr<arrow::RecordBatch>& expected,
                                         const std::shared_ptr<arrow::RecordBatch>& actual) {
  auto table = arrow::Table::FromRecordBatches({actual});
  if (!table.ok()) return testing::AssertionFailure() << table.status().ToString();
  return SameRows(expected, *table);
}

}  // namespace marble::test

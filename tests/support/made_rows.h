// Rows for tests of many: a number, a value and a text, in batches that are made when asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/api.h>

#include "support/test_database.h"
#include "support/tiny_options.h"

namespace marble::test {

inline std::shared_ptr<arrow::Schema> RowSchema() {
  return arrow::schema({arrow::field("id", arrow::int64(), /*nullable=*/false),
                        arrow::field("value", arrow::int64()),
                        arrow::field("text", arrow::utf8())});
}

/// Some 120 bytes a row.
inline std::shared_ptr<arrow::RecordBatch> RowsOf(const std::vector<int64_t>& ids, int64_t value) {
  arrow::Int64Builder id_builder, value_builder;
  arrow::StringBuilder text_builder;
  for (int64_t id : ids) {
    EXPECT_TRUE(id_builder.Append(id).ok());
    EXPECT_TRUE(value_builder.Append(value).ok());
    EXPECT_TRUE(text_builder.Append(std::string(100, static_cast<char>('a' + id % 26))).ok());
  }
  const auto rows = static_cast<int64_t>(ids.size());
  return arrow::RecordBatch::Make(
      RowSchema(), rows, {*id_builder.Finish(), *value_builder.Finish(), *text_builder.Finish()});
}

/// `count` ids from `first` on.
inline std::vector<int64_t> Consecutive(int64_t first, int64_t count) {
  std::vector<int64_t> ids(static_cast<size_t>(count));
  for (int64_t& id : ids) id = first++;
  return ids;
}

/// Batches made when they are asked for; `next` gives nullptr at the end.
class MadeRows : public arrow::RecordBatchReader {
 public:
  using Next = std::function<arrow::Result<std::shared_ptr<arrow::RecordBatch>>(int64_t)>;
  explicit MadeRows(Next next) : next_(std::move(next)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return RowSchema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    return next_(made_++).Value(out);
  }

 private:
  Next next_;
  int64_t made_ = 0;
};

inline ScanOptions Only(const std::string& column) {
  ScanOptions options;
  options.columns = {column};
  return options;
}

/// Column "value" of all rows, in order.
inline std::vector<int64_t> ValuesOf(const Table& table) {
  std::vector<int64_t> values;
  auto rows = ScanAll(table, Only("value"));
  EXPECT_TRUE(rows.ok()) << rows.status().ToString();
  if (!rows.ok()) return values;
  for (const auto& chunk : (*rows)->column(0)->chunks()) {
    const auto& array = static_cast<const arrow::Int64Array&>(*chunk);
    for (int64_t i = 0; i < array.length(); ++i) values.push_back(array.Value(i));
  }
  return values;
}

/// A keyed table and an append table of such rows in a database with little memory.
class MadeRowsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(database_.Open());
    ASSERT_OK(database_->CreateTable("keyed", RowSchema(), {.primary_key = {"id"}}));
    ASSERT_OK(database_->CreateTable("append", RowSchema()));
    ASSERT_OK(OpenTables());
  }
  arrow::Status OpenTables() {
    ARROW_RETURN_NOT_OK(Table::Open(database_.get(), "keyed").Value(&keyed_));
    return Table::Open(database_.get(), "append").Value(&append_);
  }
  arrow::Status Reopen() {
    keyed_.reset();
    append_.reset();
    ARROW_RETURN_NOT_OK(database_.Reopen());
    return OpenTables();
  }
  size_t SstFiles() const {
    const std::filesystem::directory_iterator files(database_.path() + "/sst");
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }

  TestDatabase database_{TinyOptions()};
  std::shared_ptr<Table> keyed_;
  std::shared_ptr<Table> append_;
};

}  // namespace marble::test

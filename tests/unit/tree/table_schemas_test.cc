// A table's schemas as the manifest has them, and what contradicts itself there.
#include "tree/table_schemas.h"

#include <arrow/array/util.h>
#include <arrow/scalar.h>
#include <gtest/gtest.h>

namespace marble {
namespace {

TableRecord SomeRecord() {
  TableRecord record;
  record.name = "t";
  record.options.primary_key = {"key"};
  const arrow::Schema old(
      {arrow::field("id", arrow::int64(), false), arrow::field("n", arrow::int32())});
  const arrow::Schema now(
      {arrow::field("unit", arrow::utf8()), arrow::field("key", arrow::int64(), false)});
  record.older_schemas = {{.version = 0, .schema = *SerializeSchema(old), .column_ids = {}}};
  record.schema = {.version = 1, .schema = *SerializeSchema(now), .column_ids = {2, 0}};
  record.defaults = {{2, *EncodeDefault(*arrow::MakeArrayFromScalar(*arrow::MakeScalar("kg"), 1))}};
  record.next_column_id = 3;
  return record;
}

TEST(TableSchemasTest, SchemasOfThePastHaveTheKeyUnderTheNameItHadThen) {
  auto schemas = TableSchemas::Make(SomeRecord());
  ASSERT_TRUE(schemas.ok()) << schemas.status().ToString();
  EXPECT_EQ(schemas->Find(1), schemas->current());
  const auto old = schemas->Find(0);
  ASSERT_NE(old, nullptr);
  EXPECT_EQ(old->options().primary_key, std::vector<std::string>{"id"});
  EXPECT_EQ(old->FindColumnId(0), 0);
  EXPECT_EQ(schemas->current()->FindColumnId(0), 1);
  EXPECT_EQ(schemas->Find(2), nullptr);
}

TEST(TableSchemasTest, DefaultsBelongToColumnsByTheirIds) {
  auto schemas = TableSchemas::Make(SomeRecord());
  ASSERT_TRUE(schemas.ok()) << schemas.status().ToString();
  ASSERT_NE(schemas->current()->DefaultOf(0), nullptr);
  EXPECT_EQ((*schemas->current()->DefaultOf(0)->GetScalar(0))->ToString(), "kg");
  EXPECT_EQ(schemas->current()->DefaultOf(1), nullptr);
}

TEST(TableSchemasTest, RecordsThatContradictThemselvesAreRefused) {
  const auto refused = [](auto change) {
    TableRecord record = SomeRecord();
    change(&record);
    return TableSchemas::Make(record).status().IsInvalid();
  };
  EXPECT_TRUE(refused([](TableRecord* r) { r->schema.column_ids = {2}; }));
  EXPECT_TRUE(refused([](TableRecord* r) { r->schema.column_ids = {2, 2}; }));
  EXPECT_TRUE(refused([](TableRecord* r) { r->older_schemas[0].column_ids = {4, 5}; }));
  EXPECT_TRUE(refused([](TableRecord* r) { r->older_schemas[0].column_ids = {5, 6, 0}; }));
  // Found by database_fuzz: the files of the older schema could not be read.
  EXPECT_TRUE(refused([](TableRecord* r) { r->older_schemas[0].column_ids = {0, 2}; }));
  EXPECT_TRUE(refused([](TableRecord* r) { r->defaults[7] = r->defaults[2]; }));
  EXPECT_TRUE(refused([](TableRecord* r) { r->defaults[0] = r->defaults[2]; }));
}

TEST(TableSchemasTest, BytesThatAreNoDefaultAreRefused) {
  const std::string good = SomeRecord().defaults.at(2);
  ASSERT_TRUE(DecodeDefault(good).ok());
  for (size_t length = 0; length + 16 < good.size(); length += 5) {
    EXPECT_FALSE(DecodeDefault(std::string_view(good).substr(0, length)).ok()) << length;
  }
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x55);
    (void)DecodeDefault(bad);  // must not crash
  }
}

}  // namespace
}  // namespace marble

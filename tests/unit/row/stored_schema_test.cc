// What a table's schema may be, and what batches are let in.
#include "row/stored_schema.h"

#include <gtest/gtest.h>

#include <cmath>

#include <arrow/util/key_value_metadata.h>

#include "row/row_kind.h"
#include "unit/row/row_arrays.h"

namespace marble {
namespace {

using testing::FromJson;
using testing::MakeBatch;

std::shared_ptr<const StoredSchema> Keyed(const arrow::FieldVector& fields,
                                          std::vector<std::string> key) {
  TableOptions options;
  options.primary_key = std::move(key);
  return StoredSchema::Make(arrow::schema(fields), options).ValueOrDie();
}

/// The message of the refusal; "accepted" if there is none.
std::string Refusal(const arrow::Status& status) {
  return status.ok() ? "accepted" : status.message();
}
std::string SchemaRefusal(const arrow::FieldVector& fields, std::vector<std::string> key = {}) {
  TableOptions options;
  options.primary_key = std::move(key);
  return Refusal(StoredSchema::Make(arrow::schema(fields), options).status());
}

arrow::FieldVector IdAndName() {
  return {arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8())};
}
std::shared_ptr<arrow::RecordBatch> IdsAndNames(const std::string& ids, const std::string& names) {
  return MakeBatch(IdAndName(), {FromJson(arrow::int64(), ids), FromJson(arrow::utf8(), names)});
}

TEST(StoredSchema, NamesAreChecked) {
  const auto type = arrow::int8();
  EXPECT_EQ(SchemaRefusal({}), "a table needs at least one column");
  EXPECT_EQ(SchemaRefusal({arrow::field("", type)}), "column 0 has no name");
  EXPECT_EQ(SchemaRefusal({arrow::field("a\xff", type)}), "the name of column 0 is not UTF-8");
  EXPECT_EQ(SchemaRefusal({arrow::field("a", type), arrow::field("a", type)}),
            "there are two columns named 'a'");
  EXPECT_EQ(SchemaRefusal({arrow::field("_sequence", type)}),
            "the column name '_sequence' is reserved");
  EXPECT_EQ(SchemaRefusal({arrow::field("_kind", type)}), "the column name '_kind' is reserved");
}

TEST(StoredSchema, FourThousandAndNinetySixColumnsAreTheLimit) {
  arrow::FieldVector fields;
  for (int i = 0; i < kColumnsMax; ++i) {
    fields.push_back(arrow::field(testing::Numbered("c", static_cast<int64_t>(i)), arrow::int8()));
  }
  EXPECT_EQ(SchemaRefusal(fields), "accepted");
  fields.push_back(arrow::field("one_more", arrow::int8()));
  EXPECT_NE(SchemaRefusal(fields).find("4097 columns"), std::string::npos);
}

TEST(StoredSchema, KeysAreChecked) {
  EXPECT_EQ(SchemaRefusal(IdAndName(), {"nope"}), "the key column 'nope' is not in the schema");
  EXPECT_EQ(SchemaRefusal(IdAndName(), {"id", "id"}), "the key column 'id' is named twice");
  EXPECT_NE(SchemaRefusal({arrow::field("l", arrow::list(arrow::int8()))}, {"l"}).find("'l'"),
            std::string::npos);
}

TEST(StoredSchema, UnionsAreRefusedByColumn) {
  const auto type = arrow::list(arrow::dense_union({arrow::field("x", arrow::int8())}));
  EXPECT_NE(SchemaRefusal({arrow::field("ok", arrow::int8()), arrow::field("bad", type)})
                .find("column 'bad'"),
            std::string::npos);
}

TEST(StoredSchema, DictionariesOfNestedValuesAreRefusedByColumn) {
  const auto type = arrow::dictionary(arrow::int8(), arrow::list(arrow::utf8()));
  EXPECT_NE(SchemaRefusal({arrow::field("bad", type)}).find("column 'bad'"), std::string::npos);
}

TEST(StoredSchema, OptionsOutOfRangeAreRefused) {
  TableOptions options;
  options.block_bytes = -1;
  EXPECT_FALSE(StoredSchema::Make(arrow::schema(IdAndName()), options).ok());
  options.block_bytes = 0;
  options.block_rows_max = -1;
  EXPECT_FALSE(StoredSchema::Make(arrow::schema(IdAndName()), options).ok());
}

TEST(StoredSchema, WithoutAKeyIsAnAppendTable) {
  const auto schema = StoredSchema::Make(arrow::schema(IdAndName()), {}).ValueOrDie();
  EXPECT_TRUE(schema->is_append());
  EXPECT_EQ(schema->codec(), nullptr);
  EXPECT_FALSE(schema->KeysToStored(IdsAndNames("[1]", R"(["a"])")).ok());
}

TEST(StoredSchema, TheKeyMayStandInTheMetadata) {
  const auto metadata =
      arrow::key_value_metadata({"marble.primary_key", "other"}, {"name, id", "kept"});
  const auto schema = StoredSchema::Make(arrow::schema(IdAndName(), metadata), {}).ValueOrDie();
  EXPECT_EQ(schema->options().primary_key, (std::vector<std::string>{"name", "id"}));
  EXPECT_EQ(schema->codec()->columns(), (std::vector<int>{1, 0}));
  EXPECT_EQ(schema->user_schema()->metadata()->Get("other").ValueOrDie(), "kept");
  TableOptions options;
  options.primary_key = {"id"};
  const auto given = StoredSchema::Make(arrow::schema(IdAndName(), metadata), options).ValueOrDie();
  EXPECT_EQ(given->options().primary_key, std::vector<std::string>{"id"});
}

TEST(StoredSchema, MetadataThatNamesNoKeyIsNoKey) {
  const auto key_of = [](const char* name, const char* value) {
    const auto metadata =
        arrow::key_value_metadata(std::vector<std::string>{name}, std::vector<std::string>{value});
    const auto schema = StoredSchema::Make(arrow::schema(IdAndName(), metadata), {}).ValueOrDie();
    return schema->options().primary_key;
  };
  EXPECT_TRUE(key_of("other", "id").empty());
  EXPECT_TRUE(key_of("marble.primary_key", "").empty());
  EXPECT_TRUE(key_of("marble.primary_key", "   ").empty());
  EXPECT_EQ(key_of("marble.primary_key", "  id  "), std::vector<std::string>{"id"});
  const auto metadata = arrow::key_value_metadata({"marble.primary_key"}, {"id,  "});
  EXPECT_EQ(Refusal(StoredSchema::Make(arrow::schema(IdAndName(), metadata), {}).status()),
            "the key column '' is not in the schema");
}

TEST(StoredSchema, KeyColumnsAreNotNullableAndColumnsHaveIds) {
  const auto schema = Keyed(IdAndName(), {"id"});
  EXPECT_FALSE(schema->user_schema()->field(0)->nullable());
  EXPECT_FALSE(schema->stored_schema()->field(0)->nullable());
  EXPECT_TRUE(schema->stored_schema()->field(1)->nullable());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(schema->stored_schema()->field(i)->metadata()->Get("marble.column_id").ValueOrDie(),
              std::to_string(i));
  }
}

TEST(StoredSchema, OneBinaryKeyAndOneBinaryValueIsAKeyValueTable) {
  const auto is_key_value = [](const arrow::FieldVector& fields, const std::string& key) {
    return Keyed(fields, {key})->is_key_value();
  };
  EXPECT_TRUE(is_key_value(
      {arrow::field("k", arrow::utf8()), arrow::field("v", arrow::large_binary())}, "k"));
  EXPECT_FALSE(
      is_key_value({arrow::field("v", arrow::utf8()), arrow::field("k", arrow::binary())}, "k"));
  EXPECT_FALSE(
      is_key_value({arrow::field("k", arrow::utf8()), arrow::field("v", arrow::int64())}, "k"));
  EXPECT_FALSE(is_key_value({arrow::field("k", arrow::utf8()), arrow::field("v", arrow::utf8()),
                             arrow::field("w", arrow::utf8())},
                            "k"));
}

TEST(StoredSchema, BlocksAreSmallForKeyValueTables) {
  EXPECT_EQ(Keyed({arrow::field("k", arrow::utf8()), arrow::field("v", arrow::utf8())}, {"k"})
                ->block_bytes(Compression::kNone),
            32 * 1024);
  EXPECT_EQ(Keyed(IdAndName(), {"id"})->block_bytes(Compression::kNone), 4 * 1024 * 1024);
  TableOptions compressed_table{.primary_key = {"id"}, .compression = Compression::kLz4};
  EXPECT_EQ(StoredSchema::Make(arrow::schema(IdAndName()), compressed_table)
                .ValueOrDie()
                ->block_bytes(Compression::kLz4),
            1024 * 1024);
  TableOptions compressed{.primary_key = {"k"}, .compression = Compression::kLz4};
  const auto schema =
      arrow::schema({arrow::field("k", arrow::utf8()), arrow::field("v", arrow::utf8())});
  EXPECT_EQ(StoredSchema::Make(schema, compressed).ValueOrDie()->block_bytes(Compression::kLz4),
            15872);
  TableOptions options;
  options.block_bytes = 4096;
  EXPECT_EQ(StoredSchema::Make(arrow::schema(IdAndName()), options)
                .ValueOrDie()
                ->block_bytes(Compression::kNone),
            4096);
}

TEST(StoredSchema, ViewsAndDictionariesMayBeKeysAsWhatTheyAreStoredAs) {
  const auto schema = Keyed({arrow::field("k", arrow::utf8_view())}, {"k"});
  EXPECT_TRUE(schema->stored_schema()->field(0)->type()->Equals(*arrow::large_utf8()));
  const auto stored = schema->ToStored(MakeBatch({arrow::field("k", arrow::utf8_view())},
                                                 {FromJson(arrow::utf8_view(), R"(["b", "a"])")}));
  EXPECT_EQ(schema->codec()->Encode(**stored).ValueOrDie()[1], "a");
}

TEST(ToStored, TheFirstDifferingFieldIsNamed) {
  const auto schema = Keyed(IdAndName(), {"id"});
  const auto refusal = [&](const arrow::FieldVector& fields) {
    arrow::ArrayVector columns;
    for (const auto& field : fields) {
      columns.push_back(arrow::MakeArrayOfNull(field->type(), 1).ValueOrDie());
    }
    return Refusal(schema->ToStored(MakeBatch(fields, columns)).status());
  };
  const auto id = arrow::field("id", arrow::int64());
  const auto name = arrow::field("name", arrow::utf8());
  EXPECT_EQ(refusal({id, arrow::field("name", arrow::int32())}),
            "the schema differs at column 1: the table has 'name' string, the batch has 'name' "
            "int32");
  EXPECT_EQ(refusal({name, id}),
            "the schema differs at column 0: the table has 'id' int64, the batch has 'name' "
            "string");
  EXPECT_EQ(refusal({id}),
            "the schema differs at column 1: the table has 'name' string, the batch has no such "
            "column");
  EXPECT_EQ(refusal({id, name, arrow::field("x", arrow::int8())}),
            "the schema differs at column 2: the batch has 'x' int8, the table has no such "
            "column");
}

TEST(ToStored, NullabilityIsAMatterOfTheValues) {
  const arrow::FieldVector fields = {arrow::field("id", arrow::int64(), false),
                                     arrow::field("name", arrow::utf8(), false)};
  const auto schema = Keyed(fields, {"id"});
  EXPECT_EQ(Refusal(schema->ToStored(IdsAndNames("[1, 2]", R"(["a", "b"])")).status()), "accepted");
  EXPECT_EQ(Refusal(schema->ToStored(IdsAndNames("[1, 2]", R"(["a", null])")).status()),
            "null in column 'name', which is not nullable, at row 1");
  EXPECT_EQ(Refusal(schema->ToStored(IdsAndNames("[null, 2]", R"(["a", "b"])")).status()),
            "null in key column 'id', which is not nullable, at row 0");
}

TEST(ToStored, NullsInsideDictionariesCountAsNulls) {
  const auto type = arrow::dictionary(arrow::int8(), arrow::utf8());
  const auto schema = Keyed({arrow::field("k", type)}, {"k"});
  const auto array = arrow::DictionaryArray::FromArrays(type, FromJson(arrow::int8(), "[0, 1]"),
                                                        FromJson(arrow::utf8(), R"(["a", null])"))
                         .ValueOrDie();
  EXPECT_NE(Refusal(schema->ToStored(MakeBatch({arrow::field("k", type)}, {array})).status())
                .find("null in key column 'k'"),
            std::string::npos);
}

TEST(ToStored, ForbiddenNullsInsideNestedTypesAreNamedByPath) {
  const auto type = arrow::list(arrow::struct_({arrow::field("must", arrow::int8(), false)}));
  const auto schema = StoredSchema::Make(arrow::schema({arrow::field("l", type)}), {}).ValueOrDie();
  const auto refusal = [&](const std::string& json) {
    return Refusal(
        schema->ToStored(MakeBatch({arrow::field("l", type)}, {FromJson(type, json)})).status());
  };
  EXPECT_EQ(refusal(R"([[{"must": 1}], null, [null, {"must": 2}]])"), "accepted");
  EXPECT_EQ(refusal(R"([[{"must": 1}, {"must": null}]])"),
            "null in column 'l.item.must', which is not nullable");
}

TEST(ToStored, InvalidUtf8IsRefusedByColumnInEveryTextType) {
  const auto bytes = arrow::Buffer::FromString("ok\xff");
  for (const auto& type : {arrow::utf8(), arrow::large_utf8(), arrow::utf8_view()}) {
    const auto schema =
        StoredSchema::Make(arrow::schema({arrow::field("t", type)}), {}).ValueOrDie();
    const auto array =
        type->id() == arrow::Type::STRING_VIEW
            ? arrow::MakeArrayFromScalar(arrow::StringViewScalar(bytes), 1).ValueOrDie()
            : arrow::MakeArrayFromScalar(*arrow::MakeScalar(type, bytes).ValueOrDie(), 1)
                  .ValueOrDie();
    const auto status = schema->ToStored(MakeBatch({arrow::field("t", type)}, {array})).status();
    EXPECT_TRUE(status.IsInvalid()) << type->ToString();
    EXPECT_NE(status.message().find("column 't'"), std::string::npos) << status.ToString();
  }
}

TEST(ToStored, BatchesThatFailValidationAreRefusedByColumn) {
  const std::vector<int32_t> offsets = {0, 5, 3};
  const auto array = std::make_shared<arrow::BinaryArray>(2, arrow::Buffer::Wrap(offsets),
                                                          arrow::Buffer::FromString("abc"));
  const arrow::FieldVector fields = {arrow::field("b", arrow::binary())};
  const auto schema = StoredSchema::Make(arrow::schema(fields), {}).ValueOrDie();
  const auto status = schema->ToStored(MakeBatch(fields, {array})).status();
  EXPECT_NE(Refusal(status).find("column 'b' is not valid"), std::string::npos);
  const auto short_column = arrow::RecordBatch::Make(
      arrow::schema(IdAndName()), 3,
      {FromJson(arrow::int64(), "[1, 2, 3]"), FromJson(arrow::utf8(), R"(["a"])")});
  EXPECT_FALSE(Keyed(IdAndName(), {"id"})->ToStored(short_column).ok());
}

TEST(ToStored, ColumnsThatAreNotWhatTheirBatchSaysAreRefused) {
  const auto schema = Keyed(IdAndName(), {"id"});
  const auto ids = FromJson(arrow::int64(), "[1, 2]");
  const auto refusal = [&](const std::shared_ptr<arrow::Array>& names) {
    return Refusal(
        schema->ToStored(arrow::RecordBatch::Make(arrow::schema(IdAndName()), 2, {ids, names}))
            .status());
  };
  EXPECT_EQ(refusal(FromJson(arrow::utf8(), R"(["a", "b"])")), "accepted");
  EXPECT_EQ(refusal(FromJson(arrow::utf8(), R"(["a"])")),
            "column 'name' is string of 1 rows in a batch of 2 rows of string");
  EXPECT_EQ(refusal(ids), "column 'name' is int64 of 2 rows in a batch of 2 rows of string");
  EXPECT_EQ(Refusal(schema->ToStored(nullptr).status()), "there is no batch");
}

TEST(ToStored, ARowOfMoreThanOneGiBIsRefused) {
  const int64_t size = kValueBytesMax + 1;
  std::shared_ptr<arrow::Buffer> bytes = arrow::AllocateBuffer(size).ValueOrDie();
  const std::vector<int32_t> offsets = {0, 0, static_cast<int32_t>(size),
                                        static_cast<int32_t>(size)};
  const auto array = std::make_shared<arrow::BinaryArray>(3, arrow::Buffer::Wrap(offsets), bytes);
  const arrow::FieldVector fields = {arrow::field("b", arrow::binary())};
  const auto schema = StoredSchema::Make(arrow::schema(fields), {}).ValueOrDie();
  EXPECT_NE(Refusal(schema->ToStored(MakeBatch(fields, {array})).status()).find("row 1 has"),
            std::string::npos);
}

TEST(ToStored, FloatKeysAreCanonicalAndOtherFloatsAreNot) {
  const arrow::FieldVector fields = {arrow::field("k", arrow::float64()),
                                     arrow::field("v", arrow::float64())};
  const auto schema = Keyed(fields, {"k"});
  arrow::DoubleBuilder builder;
  ASSERT_TRUE(builder.AppendValues({-0.0, -std::nan(""), 1.5}).ok());
  const auto values = builder.Finish().ValueOrDie();
  const auto stored = schema->ToStored(MakeBatch(fields, {values, values})).ValueOrDie();
  const auto* keys = stored->column_data(0)->GetValues<uint64_t>(1);
  EXPECT_EQ(keys[0], 0U);
  EXPECT_EQ(keys[1], 0x7FF8000000000000U);
  EXPECT_EQ(stored->column_data(1)->GetValues<uint64_t>(1)[0], uint64_t{1} << 63);
}

TEST(ToStored, ColumnsOfStoredTypesAreNotCopied) {
  const auto schema = Keyed(IdAndName(), {"id"});
  const auto batch = IdsAndNames("[1, 2]", R"(["a", "b"])");
  const auto stored = schema->ToStored(batch).ValueOrDie();
  const auto user = schema->ToUser(*stored, {0, 1}, schema->Project({0, 1})).ValueOrDie();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(stored->column_data(i)->buffers[1], batch->column_data(i)->buffers[1]);
    EXPECT_EQ(user->column_data(i)->buffers[1], batch->column_data(i)->buffers[1]);
  }
  EXPECT_TRUE(stored->schema()->Equals(*schema->stored_schema()));
}

TEST(ToStored, MetadataInsideTypesIsNotStored) {
  const auto tagged = arrow::field("item", arrow::binary(), true,
                                   arrow::key_value_metadata({"ARROW:extension:name"}, {"x.y"}));
  const auto schema =
      StoredSchema::Make(arrow::schema({arrow::field("l", arrow::list(tagged))}), {}).ValueOrDie();
  EXPECT_FALSE(schema->stored_schema()->field(0)->type()->field(0)->HasMetadata());
  EXPECT_TRUE(schema->user_schema()->field(0)->type()->field(0)->HasMetadata());
}

TEST(KeysToStored, TakesKeyColumnsByNameInKeyOrder) {
  const arrow::FieldVector fields = {arrow::field("a", arrow::int64()),
                                     arrow::field("b", arrow::utf8_view()),
                                     arrow::field("c", arrow::float64())};
  const auto schema = Keyed(fields, {"b", "a"});
  const auto keys = MakeBatch({arrow::field("extra", arrow::null()), fields[0], fields[1]},
                              {FromJson(arrow::null(), "[null]"), FromJson(arrow::int64(), "[7]"),
                               FromJson(arrow::utf8_view(), R"(["x"])")});
  const auto stored = schema->KeysToStored(keys).ValueOrDie();
  EXPECT_EQ(stored->schema()->field_names(), (std::vector<std::string>{"b", "a"}));
  EXPECT_TRUE(stored->column(0)->Equals(*FromJson(arrow::large_utf8(), R"(["x"])")));
  EXPECT_EQ(schema->codec()->EncodeArrays(stored->columns()).ValueOrDie()[0],
            schema->codec()
                ->EncodeBound({arrow::MakeScalar("x"), arrow::MakeScalar(int64_t{7})})
                .ValueOrDie());
}

TEST(KeysToStored, MissingNullAndMistypedKeysAreRefusedByName) {
  const auto schema = Keyed(IdAndName(), {"id"});
  const auto refusal = [&](const std::string& name, const std::shared_ptr<arrow::DataType>& type,
                           const std::string& json) {
    return Refusal(
        schema->KeysToStored(MakeBatch({arrow::field(name, type)}, {FromJson(type, json)}))
            .status());
  };
  EXPECT_EQ(refusal("id", arrow::int64(), "[1]"), "accepted");
  EXPECT_EQ(refusal("key", arrow::int64(), "[1]"), "the batch of keys has 0 columns named 'id'");
  EXPECT_EQ(refusal("id", arrow::int32(), "[1]"),
            "the key column 'id' is of type int64, the batch of keys has int32");
  EXPECT_NE(refusal("id", arrow::int64(), "[1, null]").find("null in key column 'id'"),
            std::string::npos);
}

TEST(KeysToStored, NoBatchOrOneOfOtherLengthThanItsColumnsIsRefused) {
  const auto schema = Keyed(IdAndName(), {"id"});
  EXPECT_EQ(Refusal(schema->KeysToStored(nullptr).status()), "there are no keys");
  const auto longer = arrow::RecordBatch::Make(arrow::schema({arrow::field("id", arrow::int64())}),
                                               3, {FromJson(arrow::int64(), "[1, 2]")});
  EXPECT_EQ(Refusal(schema->KeysToStored(longer).status()),
            "the key column 'id' has 2 rows, the batch of keys 3");
}

TEST(TombstoneRows, HoldTheKeysInTheirPlaces) {
  const arrow::FieldVector fields = {arrow::field("v", arrow::int64(), false),
                                     arrow::field("k", arrow::utf8()),
                                     arrow::field("w", arrow::utf8())};
  const auto schema = Keyed(fields, {"k"});
  const auto keys =
      schema->KeysToStored(MakeBatch({fields[1]}, {FromJson(arrow::utf8(), R"(["x", "y"])")}));
  const auto rows = schema->TombstoneRows(*keys).ValueOrDie();
  EXPECT_TRUE(rows->column(0)->Equals(*FromJson(arrow::int64(), "[0, 0]")));
  EXPECT_TRUE(rows->column(1)->Equals(*FromJson(arrow::utf8(), R"(["x", "y"])")));
  EXPECT_EQ(rows->column(2)->null_count(), 2);
}

TEST(ToUser, RestoresAProjectionInItsOrder) {
  const arrow::FieldVector fields = {arrow::field("a", arrow::int64()),
                                     arrow::field("b", arrow::utf8_view()),
                                     arrow::field("c", arrow::list_view(arrow::int8()))};
  const auto schema = StoredSchema::Make(arrow::schema(fields), {}).ValueOrDie();
  const auto batch =
      MakeBatch(fields, {FromJson(arrow::int64(), "[1]"), FromJson(arrow::utf8_view(), R"(["x"])"),
                         FromJson(arrow::list_view(arrow::int8()), "[[1, 2]]")});
  const auto stored = schema->ToStored(batch).ValueOrDie();
  const auto projected = stored->SelectColumns({2, 0}).ValueOrDie();
  const auto user = schema->ToUser(*projected, {2, 0}, schema->Project({2, 0})).ValueOrDie();
  EXPECT_TRUE(user->schema()->Equals(*schema->Project({2, 0})));
  EXPECT_TRUE(user->Equals(*batch->SelectColumns({2, 0}).ValueOrDie()));
  EXPECT_FALSE(schema->ToUser(*stored, {0}, schema->Project({0})).ok());
}

TEST(ToUser, MoreValuesThanADictionaryCanNumberAreRefusedByColumn) {
  const auto type = arrow::dictionary(arrow::int8(), arrow::int32());
  const auto schema = StoredSchema::Make(arrow::schema({arrow::field("d", type)}), {}).ValueOrDie();
  arrow::Int32Builder builder;
  for (int32_t i = 0; i < 129; ++i) ASSERT_TRUE(builder.Append(i).ok());
  const auto stored =
      MakeBatch({arrow::field("d", arrow::int32())}, {builder.Finish().ValueOrDie()});
  EXPECT_TRUE(schema->ToUser(*stored->Slice(1), {0}, schema->Project({0})).ok());
  const arrow::Status status = schema->ToUser(*stored, {0}, schema->Project({0})).status();
  EXPECT_TRUE(status.IsCapacityError());
  EXPECT_EQ(status.message().find("column 'd': "), 0u) << status.ToString();
}

TEST(SerializeSchema, EverySchemaComesBackWithItsMetadata) {
  for (const auto& type : testing::PayloadTypes()) {
    const auto schema =
        arrow::schema({arrow::field("v", type, false, arrow::key_value_metadata({"a"}, {"b"}))},
                      arrow::key_value_metadata({"c"}, {"d"}));
    const std::string bytes = SerializeSchema(*schema).ValueOrDie();
    const auto read = DeserializeSchema(bytes);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_TRUE((*read)->Equals(*schema, /*check_metadata=*/true)) << type->ToString();
  }
}

TEST(SerializeSchema, DamagedBytesGiveAStatusOrASchema) {
  testing::Random random(40);
  arrow::FieldVector fields;
  for (const auto& type : testing::PayloadTypes()) {
    fields.push_back(
        arrow::field(testing::Numbered("c", static_cast<int64_t>(fields.size())), type));
  }
  const std::string bytes = SerializeSchema(*arrow::schema(fields)).ValueOrDie();
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = bytes;
    if (i % 4 == 0) damaged.resize(random() % damaged.size());
    for (int flips = 0; flips < 2 && !damaged.empty(); ++flips) {
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
    }
    const auto read = DeserializeSchema(damaged);
    if (read.ok()) {
      EXPECT_NE(*read, nullptr);
    }
  }
}

}  // namespace
}  // namespace marble

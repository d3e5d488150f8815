#include "support/model_rows.h"

#include <array>
#include <limits>

#include <arrow/compute/api.h>

namespace marble::test {
namespace {

namespace cp = arrow::compute;

constexpr std::array<std::string_view, 13> kRegions = {"",           std::string_view("a\0", 2),
                                                       "a",          "ab",
                                                       "b",          "east",
                                                       "east ",      "north",
                                                       "north-east", "s",
                                                       "south",      "\xc3\xa9",
                                                       "z"};

std::string Repeat(std::string_view piece, int64_t times) {
  std::string out;
  out.reserve(piece.size() * static_cast<size_t>(times));
  for (int64_t i = 0; i < times; ++i) out += piece;
  return out;
}

std::string TextKey(uint64_t index, bool binary) {
  switch (index) {
    case 0:
      return "";
    case 1:
      return std::string(1, '\0');
    case 2:
      return "\x7f";
    case 3:
      return "\xc3\xa9";
    case 4:
      return Repeat("long-", 60);
    case 5:
      return Repeat("long-", 60) + "er";
    case 6:
      return binary ? std::string("\xff\xff\x00\xff", 4) : std::string("\xf4\x8f\xbf\xbf");
    case 7:
      return binary ? std::string("\x80") : std::string("~~");
    default:
      break;
  }
  const std::string number = std::to_string(index);
  switch (index % 3) {
    case 0:
      return "user:" + std::string(6 - std::min<size_t>(6, number.size()), '0') + number;
    case 1:
      return "k" + number;
    default:
      return "user:" + number + std::string("\0tail", 5);
  }
}

int64_t NumberKey(uint64_t index) {
  switch (index) {
    case 0:
      return std::numeric_limits<int64_t>::min();
    case 1:
      return std::numeric_limits<int64_t>::max();
    case 2:
      return 0;
    case 3:
      return -1;
    default:
      return static_cast<int64_t>(index * 7919 % 100003) - 50000;
  }
}

template <typename Builder, typename Get>
arrow::Result<std::shared_ptr<arrow::Array>> Build(Builder* builder, std::span<const ModelRow> rows,
                                                   Get get) {
  ARROW_RETURN_NOT_OK(builder->Reserve(static_cast<int64_t>(rows.size())));
  for (const ModelRow& row : rows) {
    const auto value = get(row);
    if constexpr (requires { value.has_value(); }) {
      ARROW_RETURN_NOT_OK(value.has_value() ? builder->Append(*value) : builder->AppendNull());
    } else {
      ARROW_RETURN_NOT_OK(builder->Append(value));
    }
  }
  return builder->Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> BuildTags(std::span<const ModelRow> rows) {
  auto items = std::make_shared<arrow::Int32Builder>();
  arrow::ListBuilder builder(arrow::default_memory_pool(), items);
  for (const ModelRow& row : rows) {
    const uint64_t count = (row.payload >> 8) % 6;
    if (count == 5) {
      ARROW_RETURN_NOT_OK(builder.AppendNull());
      continue;
    }
    ARROW_RETURN_NOT_OK(builder.Append());
    for (uint64_t i = 0; i < count; ++i) {
      ARROW_RETURN_NOT_OK(items->Append(static_cast<int32_t>(row.payload % 1000 + i)));
    }
  }
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> BuildText(const arrow::Field& field,
                                                       std::span<const ModelRow> rows) {
  const auto text = [](const ModelRow& row) { return std::string_view(row.key.text); };
  if (field.type()->id() == arrow::Type::BINARY) {
    arrow::BinaryBuilder builder;
    return Build(&builder, rows, text);
  }
  arrow::StringBuilder builder;
  return Build(&builder, rows, text);
}

arrow::Result<std::shared_ptr<arrow::Array>> BuildColumn(const arrow::Field& field,
                                                         std::span<const ModelRow> rows) {
  const std::string& name = field.name();
  if (name == "key" || name == "region") return BuildText(field, rows);
  if (name == "value") {
    arrow::BinaryBuilder builder;
    return Build(&builder, rows, [](const ModelRow& row) { return ValueOf(row.payload); });
  }
  if (name == "at") {
    arrow::TimestampBuilder builder(field.type(), arrow::default_memory_pool());
    return Build(&builder, rows, [](const ModelRow& row) { return row.key.number; });
  }
  if (name == "id" || name == "event") {
    arrow::Int64Builder builder;
    return Build(&builder, rows, [](const ModelRow& row) { return row.key.number; });
  }
  if (name == "amount") {
    arrow::DoubleBuilder builder;
    return Build(&builder, rows, [](const ModelRow& row) { return AmountOf(row.payload); });
  }
  if (name == "note") {
    arrow::StringBuilder builder;
    return Build(&builder, rows, [](const ModelRow& row) { return NoteOf(row.payload); });
  }
  if (name == "flag") {
    arrow::BooleanBuilder builder;
    return Build(&builder, rows, [](const ModelRow& row) { return FlagOf(row.payload); });
  }
  if (name == "tags") return BuildTags(rows);
  return arrow::Status::Invalid("no column '", name, "' in the model");
}

std::shared_ptr<arrow::Scalar> TextScalar(const std::string& text, bool binary) {
  if (binary) return std::make_shared<arrow::BinaryScalar>(text);
  return std::make_shared<arrow::StringScalar>(text);
}

KeyBound BoundOf(Shape shape, bool binary, const ModelKey& key, bool prefix) {
  switch (shape) {
    case Shape::kKeyValue:
      return {TextScalar(key.text, binary)};
    case Shape::kNumber:
      return {std::make_shared<arrow::Int64Scalar>(key.number)};
    default:
      break;
  }
  KeyBound bound = {TextScalar(key.text, false)};
  if (!prefix) {
    bound.push_back(std::make_shared<arrow::TimestampScalar>(
        key.number, arrow::timestamp(arrow::TimeUnit::MICRO)));
  }
  return bound;
}

/// The smallest key that a bound stands for.
ModelKey FirstOf(const ModelKey& key, bool prefix) {
  return prefix ? ModelKey{key.text, std::numeric_limits<int64_t>::min()} : key;
}

}  // namespace

std::string ValueOf(uint64_t payload) {
  const uint64_t mixed = Mix(payload);
  if (payload % 11 == 0) return "";
  const size_t size = payload % 67 == 1 ? 2000 : 4 + mixed % 50;
  std::string out(size, static_cast<char>('a' + mixed % 26));
  for (size_t i = 0; i < std::min<size_t>(size, 8); ++i) {
    out[i] = static_cast<char>(mixed >> (8 * i));
  }
  return out;
}

std::optional<double> AmountOf(uint64_t payload) {
  if (payload % 9 == 0) return std::nullopt;
  return static_cast<double>(payload % 2000) / 2 - 500;
}

std::optional<std::string> NoteOf(uint64_t payload) {
  if (payload % 5 == 0) return std::nullopt;
  return std::string((payload >> 4) % 24, static_cast<char>('A' + payload % 26));
}

ModelKey KeyOf(Shape shape, uint64_t index, bool binary) {
  switch (shape) {
    case Shape::kKeyValue:
      return {TextKey(index, binary), 0};
    case Shape::kNumber:
      return {"", NumberKey(index)};
    default:
      return {std::string(kRegions[index % kRegions.size()]), NumberKey(index / kRegions.size())};
  }
}

std::shared_ptr<arrow::Schema> SchemaOf(Shape shape, bool binary) {
  if (shape == Shape::kKeyValue) {
    return arrow::schema({arrow::field("key", binary ? arrow::binary() : arrow::utf8(), false),
                          arrow::field("value", arrow::binary(), false)});
  }
  arrow::FieldVector fields;
  if (shape == Shape::kNumber) fields = {arrow::field("id", arrow::int64(), false)};
  if (shape == Shape::kComposite) {
    fields = {arrow::field("region", arrow::utf8(), false),
              arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO), false)};
  }
  if (shape == Shape::kAppend) fields = {arrow::field("event", arrow::int64(), false)};
  fields.push_back(arrow::field("amount", arrow::float64()));
  fields.push_back(arrow::field("note", arrow::utf8()));
  fields.push_back(arrow::field("flag", arrow::boolean(), false));
  fields.push_back(arrow::field("tags", arrow::list(arrow::int32())));
  return arrow::schema(std::move(fields));
}

std::vector<std::string> PrimaryKeyOf(Shape shape) {
  switch (shape) {
    case Shape::kKeyValue:
      return {"key"};
    case Shape::kNumber:
      return {"id"};
    case Shape::kComposite:
      return {"region", "at"};
    case Shape::kAppend:
      break;
  }
  return {};
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> BuildBatch(
    const std::shared_ptr<arrow::Schema>& schema, std::span<const ModelRow> rows) {
  arrow::ArrayVector columns;
  for (const auto& field : schema->fields()) {
    ARROW_ASSIGN_OR_RAISE(auto column, BuildColumn(*field, rows));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, static_cast<int64_t>(rows.size()), std::move(columns));
}

std::shared_ptr<arrow::Schema> Project(const arrow::Schema& schema,
                                       const std::vector<std::string>& columns) {
  arrow::FieldVector fields;
  for (const std::string& name : columns) fields.push_back(schema.GetFieldByName(name));
  return arrow::schema(std::move(fields));
}

KeyRange ModelRange::ToKeyRange(Shape shape, bool binary) const {
  KeyRange range;
  if (lower) range.lower = BoundOf(shape, binary, *lower, lower_is_prefix);
  if (upper) range.upper = BoundOf(shape, binary, *upper, upper_is_prefix);
  return range;
}

ModelRows::const_iterator ModelRange::Begin(const ModelRows& rows) const {
  return lower ? rows.lower_bound(FirstOf(*lower, lower_is_prefix)) : rows.begin();
}

ModelRows::const_iterator ModelRange::End(const ModelRows& rows) const {
  if (!upper) return rows.end();
  const ModelKey end = FirstOf(*upper, upper_is_prefix);
  if (lower && end < FirstOf(*lower, lower_is_prefix)) return Begin(rows);
  return rows.lower_bound(end);
}

cp::Expression ModelFilter::ToExpression(Shape shape, bool binary) const {
  const auto amount_field = cp::field_ref("amount");
  switch (kind) {
    case Kind::kNone:
      return cp::literal(true);
    case Kind::kAmountAbove:
      return cp::greater(amount_field, cp::literal(amount));
    case Kind::kNoteIsNull:
      return cp::is_null(cp::field_ref("note"));
    case Kind::kFlag:
      return cp::equal(cp::field_ref("flag"), cp::literal(true));
    case Kind::kFlagAndAmountBelow:
      return cp::and_(cp::equal(cp::field_ref("flag"), cp::literal(true)),
                      cp::less(amount_field, cp::literal(amount)));
    case Kind::kText: {
      const bool is_binary = binary && shape == Shape::kKeyValue;
      const char* name = shape == Shape::kKeyValue ? "key" : "region";
      return cp::greater_equal(cp::field_ref(name), cp::literal(TextScalar(key.text, is_binary)));
    }
    case Kind::kNumber:
      return cp::less_equal(cp::field_ref(shape == Shape::kNumber ? "id" : "event"),
                            cp::literal(key.number));
  }
  return cp::literal(true);
}

bool ModelFilter::Keeps(const ModelRow& row) const {
  const std::optional<double> amount_there = AmountOf(row.payload);
  switch (kind) {
    case Kind::kNone:
      return true;
    case Kind::kAmountAbove:
      return amount_there && *amount_there > amount;
    case Kind::kNoteIsNull:
      return !NoteOf(row.payload);
    case Kind::kFlag:
      return FlagOf(row.payload);
    case Kind::kFlagAndAmountBelow:
      return FlagOf(row.payload) && amount_there && *amount_there < amount;
    case Kind::kText:
      return row.key.text >= key.text;
    case Kind::kNumber:
      return row.key.number <= key.number;
  }
  return true;
}

ModelFilter RandomFilter(Shape shape, Random* random, const ModelKey& key) {
  using Kind = ModelFilter::Kind;
  ModelFilter filter;
  filter.key = key;
  filter.amount = static_cast<double>(random->Between(-500, 500));
  if (random->OneIn(2)) return filter;
  if (shape == Shape::kKeyValue) {
    filter.kind = Kind::kText;
    return filter;
  }
  constexpr std::array kKinds = {Kind::kAmountAbove, Kind::kNoteIsNull, Kind::kFlag,
                                 Kind::kFlagAndAmountBelow};
  const uint64_t choice = random->Uniform(kKinds.size() + 1);
  if (choice < kKinds.size()) {
    filter.kind = kKinds[choice];
  } else {
    filter.kind = shape == Shape::kComposite ? Kind::kText : Kind::kNumber;
  }
  return filter;
}

}  // namespace marble::test

// What is to change about a table's columns; carried out by Database::AlterTable.
//
//   marble::SchemaChange change;
//   change.Rename("price", "price_net").Add(arrow::field("currency", arrow::utf8()),
//                                           arrow::MakeScalar("EUR"));
//   ARROW_RETURN_NOT_OK(db->AlterTable("orders", change));
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/scalar.h>
#include <arrow/type.h>

namespace marble {

/// Steps that are carried out in this order, each on what the one before made: all or none. No two
/// columns may have one name after any step: to swap two names takes a third.
class SchemaChange {
 public:
  enum class Kind : uint8_t { kAdd, kDrop, kRename, kWiden, kAllowNulls, kReorder };
  struct Step {
    Kind kind = Kind::kAdd;
    std::string column;                            // what it is about; not for kAdd, kReorder
    std::string name;                              // kRename: the new one
    std::shared_ptr<arrow::Field> field;           // kAdd
    std::shared_ptr<arrow::Scalar> default_value;  // kAdd; null for none
    std::shared_ptr<arrow::DataType> type;         // kWiden
    std::vector<std::string> columns;              // kReorder
  };

  /// A new last column. Rows that are there have `default_value` in it, or null without one; a
  /// field that is not nullable needs one. It is of the field's type and has at most 256 bytes with
  /// its offsets: text of 248 bytes as utf8, of 240 as large_utf8 or a view. A read writes it out
  /// for each row of a block. Of utf8, binary and nested types that may be no more than 2 GiB in
  /// one block (a long value, many narrow rows), or the read fails with CapacityError.
  SchemaChange& Add(std::shared_ptr<arrow::Field> field,
                    std::shared_ptr<arrow::Scalar> default_value = nullptr) {
    Step& step = Append(Kind::kAdd);
    step.field = std::move(field);
    step.default_value = std::move(default_value);
    return *this;
  }
  /// Not of a key column. A later column of the same name is another one.
  SchemaChange& Drop(std::string column) {
    Append(Kind::kDrop).column = std::move(column);
    return *this;
  }
  SchemaChange& Rename(std::string column, std::string name) {
    Step& step = Append(Kind::kRename);
    step.column = std::move(column);
    step.name = std::move(name);
    return *this;
  }
  /// A type that holds every value of the present one in the same order: a wider integer or float,
  /// a float that holds all of an integer type, a decimal with no fewer digits on either side,
  /// large_utf8 for utf8, large_binary for binary; and any type that is stored as one of these or
  /// as the present one (dictionary<utf8> for utf8). Not of a key column.
  SchemaChange& Widen(std::string column, std::shared_ptr<arrow::DataType> type) {
    Step& step = Append(Kind::kWiden);
    step.column = std::move(column);
    step.type = std::move(type);
    return *this;
  }
  /// Not of a key column.
  SchemaChange& AllowNulls(std::string column) {
    Append(Kind::kAllowNulls).column = std::move(column);
    return *this;
  }
  /// The columns in this order; those not named follow in the order they have.
  SchemaChange& Reorder(std::vector<std::string> columns) {
    Append(Kind::kReorder).columns = std::move(columns);
    return *this;
  }

  const std::vector<Step>& steps() const { return steps_; }

 private:
  Step& Append(Kind kind) {
    steps_.emplace_back().kind = kind;
    return steps_.back();
  }

  std::vector<Step> steps_;
};

}  // namespace marble

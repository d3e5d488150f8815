// The schemas of a table that its files may have: the present one and those before it, as the
// manifest has them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/array.h>
#include <arrow/result.h>

#include "row/stored_schema.h"
#include "tree/version_edit.h"

namespace marble {

/// Immutable.
class TableSchemas {
 public:
  /// Invalid if the record contradicts itself.
  static arrow::Result<TableSchemas> Make(const TableRecord& record);

  const std::shared_ptr<const StoredSchema>& current() const { return current_; }
  /// nullptr if there is none of this version.
  std::shared_ptr<const StoredSchema> Find(uint32_t version) const;

 private:
  std::shared_ptr<const StoredSchema> current_;
  std::map<uint32_t, std::shared_ptr<const StoredSchema>> older_;
};

/// The table that a database has from its first moment: {key: utf8, value: binary}.
inline constexpr uint32_t kDefaultTable = 1;
arrow::Result<TableRecord> DefaultTableRecord();

/// The column ids of a record's schema, spelled out.
arrow::Result<std::vector<uint32_t>> ColumnIdsOf(const SchemaRecord& record);

/// One value for TableRecord::defaults (an Arrow IPC stream of one row and column) and back.
/// Hostile bytes give a Status.
arrow::Result<std::string> EncodeDefault(const std::shared_ptr<arrow::Array>& one_value);
arrow::Result<std::shared_ptr<arrow::Array>> DecodeDefault(std::string_view bytes);

}  // namespace marble

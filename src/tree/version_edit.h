// A change of the set of tables and files: what one manifest record holds. Values and their
// encoding; deciding and applying are elsewhere.
//
// Encoding (docs/formats.md): a sequence of fields {tag varint, length varint, bytes}. An unknown
// tag is refused: leaving out what an edit says would lose files.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>

#include <marble/options.h>

#include "log/log_format.h"
#include "sst/file_meta.h"

namespace marble {

/// A schema that files of a table may have been written with.
struct SchemaRecord {
  uint32_t version = 0;
  std::string schema;  // SerializeSchema of the user's schema
  /// Of its columns; empty: 0, 1, 2, ... (a table as it was created).
  std::vector<uint32_t> column_ids;

  bool operator==(const SchemaRecord&) const = default;
};

/// A table as the catalog knows it.
struct TableRecord {
  uint32_t id = 0;
  std::string name;
  SchemaRecord schema;
  /// Those before it that files still have, oldest first.
  std::vector<SchemaRecord> older_schemas;
  /// By column id: the value of rows that are older than the column (EncodeDefault).
  std::map<uint32_t, std::string> defaults;
  /// The id of the next column; 0: as many as there are columns.
  uint32_t next_column_id = 0;
  TableOptions options;
  /// Options written by a newer version, kept as they were: name and value.
  std::map<std::string, std::string> unknown_options;
};

std::string EncodeTableRecord(const TableRecord& record);
arrow::Result<TableRecord> DecodeTableRecord(std::string_view bytes);

std::string EncodeFileMeta(const FileMeta& meta);
arrow::Result<FileMeta> DecodeFileMeta(std::string_view bytes);

struct AddedFile {
  uint32_t level = 0;
  /// Files of one run of level 0 share a number; 0 in deeper levels, which hold one run each.
  uint64_t run = 0;
  FileMeta meta;
};

struct TableEdit {
  uint32_t table = 0;
  std::vector<uint64_t> removed;  // file numbers
  std::vector<AddedFile> added;
  /// Every operation of the table up to this sequence is in its files; replay skips them.
  std::optional<uint64_t> flushed_sequence;
  /// Append tables: the next row id, counting rows in files only.
  std::optional<uint64_t> next_row_id;
};

struct VersionEdit {
  std::vector<TableRecord> created;
  /// Tables with another schema: what replaces their records.
  std::vector<TableRecord> altered;
  std::vector<uint32_t> dropped;
  std::vector<TableEdit> tables;
  std::optional<uint32_t> next_table_id;
  std::optional<uint64_t> next_file_number;
  std::optional<uint64_t> last_sequence;
  std::optional<uint64_t> hash_seed;
  /// The oldest log segment that replay needs.
  std::optional<uint64_t> log_start;
  /// Sequence number of the first record that is, or will be, in that segment or behind it.
  std::optional<uint64_t> log_first_sequence;
  /// The log is known to be synced up to here.
  std::optional<LogPosition> durable_through;

  TableEdit* For(uint32_t table);
  void Append(VersionEdit other);
};

std::string EncodeVersionEdit(const VersionEdit& edit);
/// Invalid on hostile bytes, NotImplemented on unknown tags.
arrow::Result<VersionEdit> DecodeVersionEdit(std::string_view bytes);

}  // namespace marble

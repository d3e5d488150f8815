#include <algorithm>
#include <numeric>
#include <utility>

#include <arrow/scalar.h>

#include <marble/error.h>

#include "db/dump_parts.h"
#include "db/survey.h"
#include "db/table_salvage.h"
#include "sst/block_cache.h"
#include "sst/sst_describe.h"
#include "sst/sst_reader.h"

namespace marble {

namespace {

constexpr int64_t kCacheBytes = 1 << 20;
constexpr size_t kValueTextMax = 80;

Uuid FromHex(const std::string& text) {
  Uuid uuid{};
  for (size_t i = 0; i < uuid.size() && 2 * i + 1 < text.size(); ++i) {
    for (const char c : {text[2 * i], text[2 * i + 1]}) {
      const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
      uuid[i] = static_cast<uint8_t>(uuid[i] * 16 + (digit & 15));
    }
  }
  return uuid;
}

std::string ValueText(const arrow::Array& column, int64_t row) {
  const auto scalar = column.GetScalar(row);
  if (!scalar.ok()) return "(" + scalar.status().message() + ")";
  return Printable((*scalar)->ToString(), kValueTextMax);
}

void DumpTail(const SstDescription& file, Document* out) {
  const SstIdentity& identity = file.tail.identity;
  out->Add("kind", "sstable").Add("uuid", identity.uuid).Add("unique_id", identity.unique_id);
  out->Add("schema_version", identity.schema_version);
  if (identity.table_id.has_value()) {
    out->Add("table_id", *identity.table_id);
    out->Add("table_name", Printable(identity.table_name, 255));
  }
  out->Add("rows", file.meta.rows).Add("tail_checksum", file.tail.checksum);
  out->Add("tail_offset", file.tail.start).Add("pages", file.tail.page_checksums.size());
  if (file.meta.constant_sequence) out->Add("sequence_of_all_rows", *file.meta.constant_sequence);
  Document columns = Document::Array();
  for (const auto& field : file.tail.schema->fields()) {
    columns.Append(Document::Text(field->ToString(/*show_metadata=*/false)));
  }
  out->Add("columns", std::move(columns));
  if (file.schema != nullptr) {
    Document key = Document::Array();
    for (const std::string& column : file.schema->options().primary_key) {
      key.Append(Document::Text(column));
    }
    out->Add("primary_key", std::move(key));
  }
  Document sections = Document::Array();
  for (const auto& [name, location] : file.tail.sections) {
    sections.Append(Document::Object()
                        .Add("name", Printable(name))
                        .Add("offset", location.offset)
                        .Add("bytes", location.length));
  }
  out->Add("sections", std::move(sections));
}

/// An open file whose footer told its schema.
class SstDumper {
 public:
  SstDumper(std::shared_ptr<SstReader> reader, std::shared_ptr<const StoredSchema> schema,
            bool rows, Document* out)
      : reader_(std::move(reader)), schema_(std::move(schema)), rows_(rows), out_(out) {}

  arrow::Status Run() {
    arrow::Status damage;
    const auto note = [&damage](const arrow::Status& status) {
      if (damage.ok()) damage = status;
    };
    Document tombstones = Document::Array();
    for (const RangeTombstone& t : reader_->range_tombstones().tombstones()) {
      tombstones.Append(Document::Object()
                            .Add("begin", KeyText(*schema_, t.begin))
                            .Add("end", t.end ? KeyText(*schema_, *t.end) : "(no end)")
                            .Add("sequence", t.sequence));
    }
    out_->Add("range_tombstones", std::move(tombstones));
    const auto zones = reader_->ReadZoneMaps();
    note(zones.status());
    Document blocks = Document::Array();
    for (int64_t block = 0; block < reader_->num_blocks(); ++block) {
      blocks.Append(DumpBlock(block, zones.ok() ? zones->get() : nullptr, note));
    }
    out_->Add("blocks", std::move(blocks));
    return damage;
  }

 private:
  template <typename Note>
  Document DumpBlock(int64_t block, const arrow::RecordBatch* zones, const Note& note) {
    Document out = Document::Object();
    const int64_t first_row = reader_->BlockFirstRow(block);
    out.Add("block", block).Add("first_row", first_row);
    out.Add("rows", reader_->BlockFirstRow(block + 1) - first_row);
    if (!schema_->is_append()) {
      const auto first = reader_->BlockFirstKey(block);
      const auto last = reader_->BlockLastKey(block);
      if (first.ok()) out.Add("first_key", KeyText(*schema_, *first));
      if (last.ok()) out.Add("last_key", KeyText(*schema_, *last));
    }
    std::vector<int> columns(static_cast<size_t>(schema_->stored_schema()->num_fields()));
    std::iota(columns.begin(), columns.end(), 0);
    auto rows = reader_->ReadBlock(block, columns, /*want_keys=*/true);
    arrow::Status status = rows.status();
    if (status.ok()) status = rows->columns->ValidateFull();
    note(status);
    if (!status.ok()) {
      out.Add("damage", status.message());
      return out;
    }
    if (zones != nullptr) out.Add("zones", DumpZones(*zones, block));
    if (rows_) out.Add("content", DumpRows(*rows));
    return out;
  }

  Document DumpZones(const arrow::RecordBatch& zones, int64_t block) const {
    Document out = Document::Array();
    for (int i = 0; i < schema_->stored_schema()->num_fields(); ++i) {
      out.Append(Document::Object()
                     .Add("column", Printable(schema_->stored_schema()->field(i)->name()))
                     .Add("min", ValueText(*zones.column(3 * i), block))
                     .Add("max", ValueText(*zones.column(3 * i + 1), block))
                     .Add("nulls", ValueText(*zones.column(3 * i + 2), block)));
    }
    return out;
  }

  Document DumpRows(const RowBatch& rows) const {
    Document out = Document::Array();
    for (int64_t i = 0; i < rows.num_rows(); ++i) {
      Document row = Document::Object();
      row.Add("_sequence", rows.SequenceAt(i));
      const bool deleted = rows.KindAt(i) == RowKind::kDelete;
      row.Add("_kind", deleted ? "delete" : "put");
      if (schema_->is_append() || !deleted) {
        for (int c = 0; c < rows.columns->num_columns(); ++c) {
          row.Add(Printable(rows.columns->column_name(c)), ValueText(*rows.columns->column(c), i));
        }
      } else {
        row.Add("key", KeyText(*schema_, rows.keys[i]));
      }
      out.Append(std::move(row));
    }
    return out;
  }

  const std::shared_ptr<SstReader> reader_;
  const std::shared_ptr<const StoredSchema> schema_;
  const bool rows_;
  Document* const out_;
};

}  // namespace

arrow::Status DumpSst(FileSystem* fs, const std::string& path, bool rows, Document* out) {
  ARROW_ASSIGN_OR_RAISE(const SstDescription file, DescribeSst(fs, path));
  DumpTail(file, out);
  ARROW_RETURN_NOT_OK(file.status);
  if (file.schema == nullptr) {
    return CorruptionError(path, file.tail.start,
                           "the footer does not say which columns are the key");
  }
  SstReaderOptions options;
  options.fs = fs;
  options.path = path;
  options.uuid = FromHex(file.tail.identity.uuid);
  options.schema = file.schema;
  options.cache = std::make_shared<BlockCache>(kCacheBytes);
  options.use_mappings = false;
  options.any_compression = true;
  const auto [damage, reader] = OpenForSalvage(std::move(options), file.meta);
  if (reader == nullptr) return damage;
  const arrow::Status dumped = SstDumper(reader, file.schema, rows, out).Run();
  return damage.ok() ? dumped : damage;
}

}  // namespace marble

// import, export: files into tables and out of them.

#include <cstdio>
#include <map>

#include <marble/error.h>
#include <marble/file_system.h>
#include <marble/transfer.h>

#include "command.h"
#include "output.h"

namespace marble::cli {
namespace {

const std::map<std::string, FileFormat> kFormats = {{"parquet", FileFormat::kParquet},
                                                    {"arrow", FileFormat::kArrowFile},
                                                    {"arrows", FileFormat::kArrowStream},
                                                    {"csv", FileFormat::kCsv}};
const std::map<std::string, Compression> kCompressions = {
    {"none", Compression::kNone}, {"lz4", Compression::kLz4}, {"zstd", Compression::kZstd}};

template <typename T>
std::vector<std::string> NamesOf(const std::map<std::string, T>& choices) {
  std::vector<std::string> names;
  for (const auto& [name, value] : choices) names.push_back(name);
  return names;
}

ProgressCallback ShowOn(ProgressLine* line) {
  return [line](const TransferProgress& now) {
    line->Show(std::to_string(now.rows) + " rows", now.bytes, now.bytes_total);
    return true;
  };
}

struct Shared {
  std::string file;
  std::string format;
  std::string delimiter;

  FileFormat file_format() const {
    return format.empty() ? FileFormat::kGuess : kFormats.at(format);
  }
  char delimiter_char() const { return delimiter.empty() ? '\0' : delimiter.front(); }
};

void AddShared(CLI::App* command, Shared* shared) {
  command->add_option("FILE", shared->file, "The file")->required();
  command->add_option("--format", shared->format, "By default what the file's extension says")
      ->check(CLI::IsMember(NamesOf(kFormats)));
  const CLI::Validator one_character(
      [](const std::string& text) {
        return text.size() == 1 ? std::string() : std::string("is one character");
      },
      "CHARACTER");
  command->add_option("--delimiter", shared->delimiter, "Between the values of a CSV file")
      ->check(one_character);
}

struct ImportCommand : Shared {
  bool create = false;
  std::vector<std::string> primary_key;
  bool atomic = false;
  bool ignore_unknown_columns = false;
  std::vector<std::string> nulls;
};

/// Makes the table of the file's columns if there is none.
arrow::Status CreateTable(const std::shared_ptr<Database>& database, const std::string& name,
                          const ImportCommand& command, const ImportOptions& options) {
  const auto found = database->GetTable(name);
  if (found.ok()) {
    if (command.primary_key.empty() || command.primary_key == found->options.primary_key) {
      return arrow::Status::OK();
    }
    return ConflictError("table '" + name + "' exists with another key");
  }
  if (!IsNotFound(found.status())) return found.status();
  ARROW_ASSIGN_OR_RAISE(auto schema, ReadFileSchema(database, command.file, options));
  TableOptions table;
  table.primary_key = command.primary_key;
  return database->CreateTable(name, schema, table);
}

arrow::Status Import(const Place& place, const ImportCommand& command) {
  Options opening;
  opening.create_if_missing = command.create;
  // Before a database is made for it.
  ARROW_RETURN_NOT_OK(DefaultFileSystem()->OpenReadable(command.file).status());
  ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(place.database, opening));
  ImportOptions options;
  options.format = command.file_format();
  options.csv_delimiter = command.delimiter_char();
  options.atomic = command.atomic;
  options.ignore_unknown_columns = command.ignore_unknown_columns;
  if (!command.nulls.empty()) options.csv_nulls = command.nulls;
  ProgressLine line;
  options.progress = ShowOn(&line);
  if (command.create) {
    ARROW_RETURN_NOT_OK(CreateTable(database, place.table, command, options));
  }
  ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(database, place.table));
  ImportResult result;
  const arrow::Status imported = ImportFile(table, command.file, options, &result);
  line.Clear();
  // Flushes: the rows are durable, those before an error too.
  const arrow::Status closed = database->Close();
  ARROW_RETURN_NOT_OK(imported);
  ARROW_RETURN_NOT_OK(closed);
  PrintLine(std::to_string(result.rows) + " rows");
  return arrow::Status::OK();
}

struct ExportCommand : Shared {
  std::vector<std::string> columns;
  std::string compression;
  bool overwrite = false;
};

arrow::Status Export(const Place& place, const ExportCommand& command) {
  ARROW_ASSIGN_OR_RAISE(auto table, OpenTable(place));
  ExportOptions options;
  options.format = command.file_format();
  options.csv_delimiter = command.delimiter_char();
  options.overwrite = command.overwrite;
  if (!command.columns.empty()) options.scan.columns = command.columns;
  if (!command.compression.empty()) options.compression = kCompressions.at(command.compression);
  ProgressLine line;
  options.progress = ShowOn(&line);
  auto result = ExportFile(table, command.file, options);
  line.Clear();
  ARROW_RETURN_NOT_OK(result.status());
  PrintLine(std::to_string(result->rows) + " rows, " + std::to_string(result->bytes) + " bytes");
  return arrow::Status::OK();
}

}  // namespace

void AddTransferCommands(CLI::App* app, Chosen* chosen) {
  auto importing = std::make_shared<ImportCommand>();
  CLI::App* in = app->add_subcommand("import", "Inserts the rows of a file into a table");
  auto into = AddPlace(in, /*with_table=*/true);
  AddShared(in, importing.get());
  CLI::Option* create =
      in->add_flag("--create", importing->create, "Make database and table if there are none");
  in->add_option("--primary-key", importing->primary_key,
                 "Key columns of a table that is made, e.g. a,b")
      ->delimiter(',')
      ->needs(create);
  in->add_flag("--atomic", importing->atomic, "All rows in one commit, or none");
  in->add_flag("--ignore-unknown-columns", importing->ignore_unknown_columns,
               "Leave out columns that the table does not have");
  in->add_option("--null", importing->nulls,
                 "What stands for null in a CSV file, instead of an empty field; again for more")
      ->take_all();
  in->callback([=] { *chosen = [=] { return Import(*into, *importing); }; });

  auto exporting = std::make_shared<ExportCommand>();
  CLI::App* out = app->add_subcommand("export", "Writes the rows of a table to a file");
  auto from = AddPlace(out, /*with_table=*/true);
  AddShared(out, exporting.get());
  out->add_option("--columns", exporting->columns, "Only these, e.g. id,name")->delimiter(',');
  out->add_option("--compression", exporting->compression, "zstd for Parquet, else none")
      ->check(CLI::IsMember(NamesOf(kCompressions)));
  out->add_flag("--overwrite", exporting->overwrite, "Replace a file of this name");
  out->callback([=] { *chosen = [=] { return Export(*from, *exporting); }; });
}

}  // namespace marble::cli

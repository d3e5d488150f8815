// ls, schema, count, stats: what is known of a database and its tables.

#include <algorithm>

#include "command.h"
#include "output.h"

namespace marble::cli {
namespace {

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

std::string JsonNames(const std::vector<std::string>& names) {
  std::vector<std::string> values;
  for (const std::string& name : names) values.push_back(JsonText(name));
  return JsonArray(values);
}

arrow::Status List(const std::string& path, bool all, bool json) {
  ARROW_ASSIGN_OR_RAISE(auto database, OpenForReading(path));
  ARROW_ASSIGN_OR_RAISE(const Stats stats, database->GetStats());
  TextTable text({"TABLE", "KEY", "COLUMNS", "ROWS IN FILES", "BYTES IN FILES"});
  std::vector<std::string> objects;
  for (const TableStats& table : stats.tables) {
    if (!all && table.name.starts_with("__")) continue;
    ARROW_ASSIGN_OR_RAISE(const TableInfo info, database->GetTable(table.name));
    const auto& key = info.options.primary_key;
    text.Add({ShownText(table.name), key.empty() ? "-" : ShownText(Joined(key)),
              std::to_string(info.schema->num_fields()), std::to_string(table.rows_in_files),
              std::to_string(table.bytes_in_files)});
    objects.push_back(JsonObject()
                          .Add("name", table.name)
                          .AddJson("primary_key", JsonNames(key))
                          .Add("columns", int64_t{info.schema->num_fields()})
                          .Add("rows_in_files", table.rows_in_files)
                          .Add("bytes_in_files", table.bytes_in_files)
                          .Text());
  }
  if (json) {
    PrintLine(JsonArray(objects));
  } else {
    text.Print();
  }
  return arrow::Status::OK();
}

arrow::Status ShowSchema(const Place& place, bool json) {
  ARROW_ASSIGN_OR_RAISE(auto table, OpenTable(place));
  const TableInfo& info = table->info();
  TextTable text({"COLUMN", "TYPE", "NULL", "KEY"});
  std::vector<std::string> objects;
  for (const auto& field : info.schema->fields()) {
    const auto& key = info.options.primary_key;
    const auto found = std::ranges::find(key, field->name());
    const auto place_in_key = found == key.end() ? 0 : found - key.begin() + 1;
    text.Add({ShownText(field->name()), ShownText(field->type()->ToString()),
              field->nullable() ? "yes" : "no",
              place_in_key == 0 ? "" : std::to_string(place_in_key)});
    objects.push_back(JsonObject()
                          .Add("name", field->name())
                          .Add("type", field->type()->ToString())
                          .AddJson("nullable", field->nullable() ? "true" : "false")
                          .Text());
  }
  if (json) {
    PrintLine(JsonObject()
                  .Add("name", info.name)
                  .AddJson("primary_key", JsonNames(info.options.primary_key))
                  .AddJson("columns", JsonArray(objects))
                  .Text());
  } else {
    text.Print();
  }
  return arrow::Status::OK();
}

arrow::Status CountRows(const Place& place) {
  ARROW_ASSIGN_OR_RAISE(auto table, OpenTable(place));
  ARROW_ASSIGN_OR_RAISE(const int64_t rows, table->Count());
  PrintLine(std::to_string(rows));
  return arrow::Status::OK();
}

std::string JsonOf(const TableStats& table) {
  std::vector<std::string> levels;
  for (const LevelStats& level : table.levels) {
    levels.push_back(JsonObject()
                         .Add("level", int64_t{level.level})
                         .Add("runs", level.runs)
                         .Add("files", level.files)
                         .Add("rows", level.rows)
                         .Add("bytes", level.bytes)
                         .Text());
  }
  return JsonObject()
      .Add("name", table.name)
      .Add("memtable_bytes", table.memtable_bytes)
      .Add("rows_in_files", table.rows_in_files)
      .Add("bytes_in_files", table.bytes_in_files)
      .AddJson("levels", JsonArray(levels))
      .Text();
}

/// What a database that was just opened has to tell: its counters begin with the opening.
arrow::Status ShowStats(const std::string& path, bool json) {
  ARROW_ASSIGN_OR_RAISE(auto database, OpenForReading(path));
  ARROW_ASSIGN_OR_RAISE(const Stats stats, database->GetStats());
  if (json) {
    std::vector<std::string> tables;
    for (const TableStats& table : stats.tables) tables.push_back(JsonOf(table));
    PrintLine(JsonObject()
                  .Add("last_sequence", static_cast<int64_t>(stats.last_sequence))
                  .Add("files", stats.files)
                  .Add("file_bytes", stats.file_bytes)
                  .Add("log_bytes", stats.log_bytes)
                  .Add("log_tail_cut_bytes", stats.log_tail_cut_bytes)
                  .AddJson("tables", JsonArray(tables))
                  .Text());
    return arrow::Status::OK();
  }
  TextTable totals({"last sequence", std::to_string(stats.last_sequence)});
  totals.Add({"files", std::to_string(stats.files)});
  totals.Add({"bytes in files", std::to_string(stats.file_bytes)});
  totals.Add({"bytes of log", std::to_string(stats.log_bytes)});
  totals.Add({"bytes cut off the log", std::to_string(stats.log_tail_cut_bytes)});
  totals.Print();
  PrintLine("");
  TextTable text({"TABLE", "LEVEL", "RUNS", "FILES", "ROWS", "BYTES"});
  for (const TableStats& table : stats.tables) {
    for (const LevelStats& level : table.levels) {
      text.Add({ShownText(table.name), std::to_string(level.level), std::to_string(level.runs),
                std::to_string(level.files), std::to_string(level.rows),
                std::to_string(level.bytes)});
    }
  }
  text.Print();
  return arrow::Status::OK();
}

}  // namespace

void AddInspectCommands(CLI::App* app, Chosen* chosen) {
  auto json = std::make_shared<bool>(false);
  auto all = std::make_shared<bool>(false);

  CLI::App* ls = app->add_subcommand("ls", "Lists the tables");
  auto list_place = AddPlace(ls, /*with_table=*/false);
  ls->add_flag("--all", *all, "Internal tables (__...) too");
  ls->add_flag("--json", *json, "As JSON");
  ls->callback([=] { *chosen = [=] { return List(list_place->database, *all, *json); }; });

  CLI::App* schema = app->add_subcommand("schema", "Shows the columns of a table");
  auto schema_place = AddPlace(schema, /*with_table=*/true);
  schema->add_flag("--json", *json, "As JSON");
  schema->callback([=] { *chosen = [=] { return ShowSchema(*schema_place, *json); }; });

  CLI::App* count = app->add_subcommand("count", "Counts the rows of a table");
  auto count_place = AddPlace(count, /*with_table=*/true);
  count->callback([=] { *chosen = [=] { return CountRows(*count_place); }; });

  CLI::App* stats = app->add_subcommand("stats", "Shows sizes of files and log");
  auto stats_place = AddPlace(stats, /*with_table=*/false);
  stats->add_flag("--json", *json, "As JSON");
  stats->callback([=] { *chosen = [=] { return ShowStats(stats_place->database, *json); }; });
}

}  // namespace marble::cli

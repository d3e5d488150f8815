// What the commands of the program share. A command group is one file: it adds its subcommands to
// the parser, and what a subcommand does is a function that returns a Status.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <arrow/result.h>
#include <arrow/status.h>
#include <CLI/CLI.hpp>

#include <marble/database.h>
#include <marble/table.h>

namespace marble::cli {

/// Set by the parser to what the chosen subcommand does.
using Chosen = std::function<arrow::Status()>;

/// ls, schema, count, stats.
void AddInspectCommands(CLI::App* app, Chosen* chosen);
/// head.
void AddRowCommands(CLI::App* app, Chosen* chosen);
/// import, export.
void AddTransferCommands(CLI::App* app, Chosen* chosen);
/// verify, dump, repair.
void AddTrustCommands(CLI::App* app, Chosen* chosen);

/// Where a command works; filled by the parser.
struct Place {
  std::string database;
  std::string table;
};
/// The positional arguments DB and, if `with_table`, TABLE.
std::shared_ptr<Place> AddPlace(CLI::App* command, bool with_table);

/// Without a lock, beside a process that writes.
arrow::Result<std::shared_ptr<Database>> OpenForReading(const std::string& path);
/// The table of a database opened for reading.
arrow::Result<std::shared_ptr<Table>> OpenTable(const Place& place);

}  // namespace marble::cli

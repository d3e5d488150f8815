// marble: looks into databases and moves rows in and out. Written against include/marble only.
//
// Exit status: 0; 1 if something failed; 2 if the command line was wrong.

#include <cstdio>
#include <exception>

#include <marble/error.h>

#include "command.h"
#include "output.h"

namespace marble::cli {

std::shared_ptr<Place> AddPlace(CLI::App* command, bool with_table) {
  auto place = std::make_shared<Place>();
  command->add_option("DB", place->database, "The database's directory")->required();
  if (with_table) command->add_option("TABLE", place->table, "The table's name")->required();
  return place;
}

arrow::Result<std::shared_ptr<Database>> OpenForReading(const std::string& path) {
  Options options;
  options.read_only = true;
  options.create_if_missing = false;
  return Database::Open(path, options);
}

arrow::Result<std::shared_ptr<Table>> OpenTable(const Place& place) {
  ARROW_ASSIGN_OR_RAISE(auto database, OpenForReading(place.database));
  return Table::Open(std::move(database), place.table);
}

namespace {

int Run(int argc, char** argv) {
  CLI::App app("Looks into databases of Marble and moves rows in and out.", "marble");
  app.require_subcommand(1);
  app.set_version_flag("--version", "marble 0.1.0");
  Chosen chosen;
  AddInspectCommands(&app, &chosen);
  AddRowCommands(&app, &chosen);
  AddTransferCommands(&app, &chosen);
  AddTrustCommands(&app, &chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  arrow::Status status = chosen();
  // Full disks and closed pipes show here.
  if (status.ok() && std::fflush(stdout) != 0) status = arrow::Status::IOError("cannot write");
  if (status.ok()) return 0;
  std::fprintf(stderr, "marble: %s\n", ShownText(status.message()).c_str());
  return 1;
}

}  // namespace
}  // namespace marble::cli

int main(int argc, char** argv) {
  try {
    return marble::cli::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "marble: %s\n", error.what());
    return 1;
  }
}

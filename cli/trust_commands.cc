// verify, dump, repair: what a database's files hold, whether they are whole, and what can be
// saved.

#include <cstdio>
#include <filesystem>

#include <marble/dump.h>
#include <marble/repair.h>
#include <marble/verify.h>

#include "command.h"
#include "output.h"

namespace marble::cli {
namespace {

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

arrow::Status Verify(const std::string& path, bool json) {
  VerifyOptions options;
  ProgressLine line;
  options.progress = [&](const VerifyProgress& now) {
    line.Show(std::filesystem::path(now.file).filename().string(), now.bytes_done, now.bytes);
    return arrow::Status::OK();
  };
  ARROW_ASSIGN_OR_RAISE(const VerifyReport report, VerifyDatabase(path, options));
  line.Clear();
  Print(json ? report.ToJson() : report.ToText());
  if (report.ok()) return arrow::Status::OK();
  return arrow::Status::IOError(path, " is damaged in ", report.damages(), " places");
}

arrow::Status Repair(const std::string& damaged, const std::string& target, bool json) {
  RepairOptions options;
  ProgressLine line;
  options.progress = [&](const RepairProgress& now) {
    line.Show("table '" + now.table + "'", now.rows_done, now.rows);
    return arrow::Status::OK();
  };
  ARROW_ASSIGN_OR_RAISE(const RepairReport report, RepairDatabase(damaged, target, options));
  line.Clear();
  Print(json ? report.ToJson() : report.ToText());
  if (report.lossless()) return arrow::Status::OK();
  return arrow::Status::IOError(damaged, " was damaged: the report says what was lost");
}

arrow::Status Show(const std::string& path, bool json, bool rows) {
  DumpOptions options;
  options.json = json;
  options.rows = rows;
  ARROW_ASSIGN_OR_RAISE(const Dump dump, DumpFile(path, options));
  Print(dump.text);
  return dump.status;
}

struct Arguments {
  std::string path;
  std::string target;
  bool json = false;
  bool rows = false;
};

}  // namespace

void AddTrustCommands(CLI::App* app, Chosen* chosen) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verify = app->add_subcommand(
      "verify", "Check every byte of a database that is not open; changes nothing");
  verify->add_option("DB", arguments->path, "The database's directory")->required();
  CLI::App* dump =
      app->add_subcommand("dump", "Show what a log segment, manifest or SSTable holds");
  dump->add_option("FILE", arguments->path, "A file of a database")->required();
  dump->add_flag("--rows", arguments->rows,
                 "Rows of an SSTable, and of log records more operations than the first eight");
  CLI::App* repair =
      app->add_subcommand("repair", "Save what is intact of a database into a new one");
  repair->add_option("DB", arguments->path, "The damaged database's directory")->required();
  repair->add_option("NEW_DB", arguments->target, "Where the new one goes")->required();
  for (CLI::App* command : {verify, dump, repair}) {
    command->add_flag("--json", arguments->json, "JSON instead of text");
  }
  verify->callback(
      [=] { *chosen = [arguments] { return Verify(arguments->path, arguments->json); }; });
  dump->callback([=] {
    *chosen = [arguments] { return Show(arguments->path, arguments->json, arguments->rows); };
  });
  repair->callback([=] {
    *chosen = [arguments] { return Repair(arguments->path, arguments->target, arguments->json); };
  });
}

}  // namespace marble::cli

// Nobody goes to the disk behind FileSystem's back: what the kernel sees of a process that uses a
// database in every way is what its FileSystem was asked for. Needs strace.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>

#include <marble/dump.h>
#include <marble/repair.h>
#include <marble/transfer.h>
#include <marble/verify.h>

#include "support/recording_file_system.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

namespace fs = std::filesystem;

constexpr char kFolder[] = "MARBLE_TEST_BYPASS";

arrow::Status UseDatabase(const std::string& folder, FileSystem* file_system) {
  Options options;
  options.file_system = file_system;
  options.log_segment_bytes = 64 * 1024;
  options.memtable_bytes = 64 * 1024;
  ARROW_ASSIGN_OR_RAISE(const auto db, Database::Open(folder + "/db", options));
  ARROW_ASSIGN_OR_RAISE(const auto kv, KeyValue::Open(db));
  for (int i = 0; i < 2000; ++i) {
    WriteOptions write;
    write.sync = i % 500 == 0;
    ARROW_RETURN_NOT_OK(kv->Put("key" + std::to_string(i), std::string(100, 'v'), write));
  }
  ARROW_RETURN_NOT_OK(db->Flush());
  const auto schema = arrow::schema({arrow::field("n", arrow::int64(), false)});
  ARROW_RETURN_NOT_OK(db->CreateTable("numbers", schema, {.primary_key = {"n"}}));
  ARROW_ASSIGN_OR_RAISE(const auto numbers, Table::Open(db, "numbers"));
  ARROW_ASSIGN_OR_RAISE(const auto rows, BatchFromJson(schema, {"[1, 2, 3]"}));
  ARROW_RETURN_NOT_OK(numbers->Insert(rows));
  ARROW_RETURN_NOT_OK(
      db->AlterTable("numbers", SchemaChange().Add(arrow::field("more", arrow::utf8()))));
  for (const char* name : {"/out.arrow", "/out.parquet", "/out.csv"}) {
    ARROW_RETURN_NOT_OK(ExportFile(numbers, folder + name));
    ARROW_RETURN_NOT_OK(ImportFile(numbers, folder + name, {.atomic = true}));
  }
  ARROW_RETURN_NOT_OK(db->Compact());
  ARROW_RETURN_NOT_OK(ScanAll(*numbers));
  ARROW_RETURN_NOT_OK(kv->Get("key7").status());
  ARROW_RETURN_NOT_OK(db->DropTable("numbers"));
  return db->Close();
}

arrow::Status LookAtDatabase(const std::string& folder, FileSystem* file_system) {
  Options options;
  options.file_system = file_system;
  for (const bool read_only : {true, false}) {
    options.read_only = read_only;
    ARROW_ASSIGN_OR_RAISE(const auto db, Database::Open(folder + "/db", options));
    ARROW_ASSIGN_OR_RAISE(const auto kv, KeyValue::Open(db));
    ARROW_RETURN_NOT_OK(kv->Get("key7").status());
    ARROW_RETURN_NOT_OK(db->Close());
  }
  VerifyOptions verify;
  verify.file_system = file_system;
  ARROW_RETURN_NOT_OK(VerifyDatabase(folder + "/db", verify));
  RepairOptions repair;
  repair.file_system = file_system;
  ARROW_RETURN_NOT_OK(RepairDatabase(folder + "/db", folder + "/repaired", repair));
  DumpOptions dump;
  dump.file_system = file_system;
  return DumpFile(folder + "/db/CURRENT", dump).status();
}

// The child of the next test; it does nothing unless that test starts it.
TEST(TracedProcessTest, UsesADatabaseInEveryWay) {
  const char* folder = std::getenv(kFolder);
  if (folder == nullptr) return;
  RecordingFileSystem file_system;
  ASSERT_OK(UseDatabase(folder, &file_system));
  ASSERT_OK(LookAtDatabase(folder, &file_system));
  std::ofstream out(std::string(folder) + ".seen");
  for (const auto& [operation, times] : file_system.operations()) {
    out << times << ' ' << operation << '\n';
  }
}

Operations ReadOperations(const std::string& path) {
  Operations operations;
  std::ifstream in(path);
  int times = 0;
  std::string operation;
  while (in >> times && std::getline(in >> std::ws, operation)) operations[operation] += times;
  return operations;
}

/// The kind of an open(2) by its flags.
std::string KindOfOpen(const std::string& path, const std::string& flags) {
  const auto has = [&](const char* flag) { return flags.find(flag) != std::string::npos; };
  if (path.ends_with("/LOCK")) return "lock ";
  if (has("O_DIRECTORY")) return "directory ";
  if (has("O_CREAT")) return "create ";
  if (has("O_RDONLY")) return "read ";
  return has("O_WRONLY") ? "append " : "reopen ";
}

/// One line of strace as an operation; "" if it is none that FileSystem has, or had no effect.
std::string OperationOf(const std::string& line, const std::string& folder) {
  static const std::regex call(R"re(^(\w+)\((.*)\)\s+= (-?\d+).*)re");
  static const std::regex text(R"re("([^"]*)")re");
  std::smatch match;
  if (!std::regex_match(line, match, call) || match[3].str().starts_with("-")) return "";
  const std::string name = match[1];
  const std::string arguments = match[2];
  if (arguments.find(folder + "/") == std::string::npos &&
      arguments.find(folder + ">") == std::string::npos &&
      arguments.find(folder + "\"") == std::string::npos) {
    return "";
  }
  if (name == "fsync" || name == "fdatasync") return "sync";
  std::vector<std::string> paths;
  for (std::sregex_iterator at(arguments.begin(), arguments.end(), text), end; at != end; ++at) {
    paths.push_back((*at)[1]);
  }
  if (paths.empty()) return "";
  if (name == "openat" || name == "open") return KindOfOpen(paths[0], arguments) + paths[0];
  if (name.starts_with("rename")) return "rename " + paths[0] + " to " + paths.at(1);
  if (name.starts_with("unlink") || name == "rmdir") return "remove " + paths[0];
  if (name.starts_with("mkdir")) return "mkdir " + paths[0];
  const bool looks = name.find("stat") != std::string::npos || name.find("access") == 0 ||
                     name.find("readlink") == 0 || name == "execve" || name == "chdir";
  return looks ? "" : name + " " + arguments;
}

TEST(BypassTest, TheKernelSeesWhatTheFileSystemWasAskedForAndNothingElse) {
  const TestDirectory directory;
  const std::string folder = directory.path() + "/traced";
  const std::string traces = directory.path() + "/trace";
  fs::create_directory(folder);
  ASSERT_EQ(::setenv(kFolder, folder.c_str(), 1), 0);
  // One file a thread, so that no call is torn in two; the leak sanitizer cannot work beside it.
  const std::string command =
      "ASAN_OPTIONS=\"$ASAN_OPTIONS:detect_leaks=0\" strace -qq -ff -y -s 4096 --seccomp-bpf"
      " -e trace=%file,fsync,fdatasync -o " +
      traces + " " + fs::read_symlink("/proc/self/exe").string() +
      " --gtest_filter=TracedProcessTest.* >" + directory.path() + "/output 2>&1";
  const int status = std::system(command.c_str());
  ASSERT_EQ(::unsetenv(kFolder), 0);
  std::ifstream output(directory.path() + "/output");
  ASSERT_EQ(status, 0) << output.rdbuf();

  Operations kernel;
  for (const auto& entry : fs::directory_iterator(directory.path())) {
    if (!entry.path().filename().string().starts_with("trace.")) continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      const std::string operation = OperationOf(line, folder);
      if (!operation.empty()) ++kernel[operation];
    }
  }
  const Operations asked = ReadOperations(folder + ".seen");
  EXPECT_GT(asked.size(), 30u);
  for (const auto& [operation, times] : asked) {
    EXPECT_EQ(kernel[operation], times) << "asked for: " << operation;
  }
  for (const auto& [operation, times] : kernel) {
    const auto found = asked.find(operation);
    EXPECT_EQ(times, found == asked.end() ? 0 : found->second) << "behind our back: " << operation;
  }
}

}  // namespace
}  // namespace marble::test

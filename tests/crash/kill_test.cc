// Kill -9 at any moment: a child process writes, the parent kills it, opens what is left and checks
// that it is the state after the first N commits for some N, not less than what was acknowledged.
// Unsynced commits count as well: the system still has what a killed process wrote.
//
// MARBLE_CRASH_CYCLES sets the number of kills, MARBLE_SEED the seed.
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <thread>

#include <gtest/gtest.h>

#include "support/child_process.h"
#include "support/crash_workload.h"
#include "support/kept_directory.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

constexpr int64_t kCycles = 240;
// A new directory after this many kills, so that first openings are killed as well.
constexpr int64_t kCyclesPerDirectory = 30;
constexpr int64_t kMillionRows = 1'000'000;

/// What is synced: commits now and then, every commit, none, or every commit of two threads, which
/// share syncs. Each directory has one of these modes.
enum class Durability { kSometimes, kAlways, kNever, kGrouped };
constexpr uint64_t kDurabilities = 4;

/// Writes commits for ever, reporting each; a second thread puts under its own key how far the
/// first one was known to be.
arrow::Status WriteUntilKilled(const std::string& path, uint64_t seed, int pipe) {
  const auto durability = static_cast<Durability>(seed % kDurabilities);
  ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(path, CrashOptions()));
  CrashWorkload workload(database, seed);
  ARROW_RETURN_NOT_OK(workload.Prepare());
  ARROW_ASSIGN_OR_RAISE(const uint64_t last, workload.LastCommit());
  std::atomic<uint64_t> acknowledged = last;
  std::atomic<bool> stop = false;
  std::thread witness([&] {
    auto opened = KeyValue::Open(database, "default");
    while (opened.ok() && !stop.load()) {
      const std::string seen = std::to_string(acknowledged.load());
      if (!(*opened)->Put("seen", seen, {.sync = durability == Durability::kGrouped}).ok()) break;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  });
  arrow::Status status;
  for (uint64_t number = last + 1; status.ok(); ++number) {
    status = durability == Durability::kSometimes
                 ? workload.Commit(number)
                 : workload.Commit(number, {.sync = durability != Durability::kNever});
    if (!status.ok()) break;
    acknowledged.store(number);
    if (!ChildProcess::Report(pipe, number)) break;
    if (number % 256 == 0) status = database->Flush();
    if (number % 1024 == 0) status = database->Compact(number % 2048 == 0 ? "left" : "pairs");
  }
  stop.store(true);
  witness.join();
  return status;
}

/// Rounds of one batch of a million rows into two tables at once, each reported.
arrow::Status WriteMillionsUntilKilled(const std::string& path, int pipe) {
  ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(path));
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("round", arrow::int64())});
  TableOptions options;
  options.primary_key = {"id"};
  ARROW_RETURN_NOT_OK(database->CreateTable("one", schema, options));
  ARROW_RETURN_NOT_OK(database->CreateTable("two", schema, options));
  ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(database, "one"));
  ScanOptions first;
  first.limit = 1;
  ARROW_ASSIGN_OR_RAISE(auto reader, table->Scan(first));
  ARROW_ASSIGN_OR_RAISE(auto there, reader->ToTable());
  int64_t round = 0;
  if (there->num_rows() > 0) {
    ARROW_ASSIGN_OR_RAISE(auto scalar, there->column(1)->GetScalar(0));
    round = static_cast<const arrow::Int64Scalar&>(*scalar).value;
  }
  arrow::Int64Builder ids;
  ARROW_RETURN_NOT_OK(ids.Reserve(kMillionRows));
  for (int64_t i = 0; i < kMillionRows; ++i) ids.UnsafeAppend(i * 7'919 % kMillionRows);
  ARROW_ASSIGN_OR_RAISE(auto id_array, ids.Finish());
  ChildProcess::Report(pipe, static_cast<uint64_t>(round));
  while (true) {
    ++round;
    ARROW_ASSIGN_OR_RAISE(auto rounds,
                          arrow::MakeArrayFromScalar(arrow::Int64Scalar(round), kMillionRows));
    const auto batch = arrow::RecordBatch::Make(schema, kMillionRows, {id_array, rounds});
    WriteBatch commit;
    commit.Insert("one", batch);
    commit.Insert("two", batch);
    ARROW_RETURN_NOT_OK(database->Write(commit));
    if (!ChildProcess::Report(pipe, static_cast<uint64_t>(round))) return arrow::Status::OK();
  }
}

/// The round that all rows of `table` are of: an error if they are of several, or not a million.
arrow::Result<int64_t> RoundOf(const std::shared_ptr<Database>& database, const char* name) {
  ARROW_ASSIGN_OR_RAISE(auto tables, database->ListTables());
  if (std::find(tables.begin(), tables.end(), name) == tables.end()) return 0;
  ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(database, name));
  ARROW_ASSIGN_OR_RAISE(auto reader, table->Scan());
  int64_t rows = 0;
  std::optional<int64_t> round;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (batch == nullptr) break;
    const auto& ids = static_cast<const arrow::Int64Array&>(*batch->column(0));
    const auto& rounds = static_cast<const arrow::Int64Array&>(*batch->column(1));
    for (int64_t i = 0; i < batch->num_rows(); ++i, ++rows) {
      if (ids.Value(i) != rows) return arrow::Status::Invalid("row ", rows, " of ", name);
      if (!round) round = rounds.Value(i);
      if (*round != rounds.Value(i)) {
        return arrow::Status::Invalid("rows of rounds ", *round, " and ", rounds.Value(i), " in ",
                                      name);
      }
    }
  }
  if (rows != 0 && rows != kMillionRows) {
    return arrow::Status::Invalid(rows, " rows in ", name);
  }
  return round.value_or(0);
}

/// Opens what a killed child left and checks it against the oracle, which it brings up to date.
arrow::Status CheckWhatIsLeft(const std::string& path, uint64_t seed, uint64_t acknowledged,
                              CrashState* state) {
  ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(path, CrashOptions()));
  CrashWorkload workload(database, seed);
  ARROW_RETURN_NOT_OK(workload.Prepare());
  ARROW_ASSIGN_OR_RAISE(const uint64_t last, workload.LastCommit());
  if (last < acknowledged) {
    return arrow::Status::Invalid("commit ", acknowledged, " was acknowledged, ", last,
                                  " is the last one there");
  }
  ARROW_RETURN_NOT_OK(workload.Advance(last, state));
  ARROW_RETURN_NOT_OK(workload.Compare(*state));
  ARROW_ASSIGN_OR_RAISE(auto pairs, KeyValue::Open(database, "default"));
  ARROW_ASSIGN_OR_RAISE(const auto seen, pairs->Get("seen"));
  if (seen && std::strtoull(seen->c_str(), nullptr, 10) > last) {
    return arrow::Status::Invalid("a later commit survived that saw commit ", *seen,
                                  " of another thread, but ", last, " is the last one there");
  }
  return database->Close();
}

TEST(KillTest, WhatSurvivesIsAPrefixWithAllThatWasAcknowledged) {
  const uint64_t seed = SeedOfThisRun();
  const int64_t cycles = NumberFromEnvironment("MARBLE_CRASH_CYCLES", kCycles);
  std::cout << "MARBLE_SEED=" << seed << ", " << cycles << " kills" << std::endl;
  Random random(seed);
  const KeptDirectory directory("kill_test");
  const std::string path = directory.database();
  CrashState state;
  uint64_t acknowledged = 0;
  uint64_t commits = 0;
  uint64_t lineage = seed;
  for (int64_t cycle = 0; cycle < cycles; ++cycle) {
    SCOPED_TRACE("kill " + std::to_string(cycle) + ", MARBLE_SEED=" + std::to_string(seed));
    if (cycle % kCyclesPerDirectory == 0) {
      std::filesystem::remove_all(path);
      commits += state.commit;
      state = CrashState{};
      acknowledged = 0;
      const auto directories = static_cast<uint64_t>(cycle / kCyclesPerDirectory);
      lineage = (random.Next() >> 1) / kDurabilities * kDurabilities + directories % kDurabilities;
    }
    auto started = ChildProcess::Start({"--write", path, std::to_string(lineage)});
    ASSERT_OK(started);
    // One in six dies while it starts or recovers; the others after their first commit.
    if (!random.OneIn(6)) {
      ASSERT_TRUE(started->ListenFor(1)) << "the child ended with " << started->Wait();
    }
    started->Listen(std::chrono::microseconds(random.Uniform(60'000)));
    const int how = started->Kill();
    ASSERT_TRUE(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL) << "the child ended with " << how;
    acknowledged = std::max(acknowledged, started->last().value_or(0));
    // Now and then what one kill left is opened by the next child first.
    if (random.OneIn(4) && (cycle + 1) % kCyclesPerDirectory != 0) continue;
    ASSERT_OK(CheckWhatIsLeft(path, lineage, acknowledged, &state));
  }
  std::cout << commits + state.commit << " commits checked" << std::endl;
}

TEST(KillTest, BatchOfAMillionRowsIsThereWholeOrNotAtAll) {
  const uint64_t seed = SeedOfThisRun();
  Random random(seed + 1);
  const KeptDirectory directory("kill_million_test");
  const std::string path = directory.database();
  int64_t before = 0;
  for (int cycle = 0; cycle < 6; ++cycle) {
    SCOPED_TRACE("kill " + std::to_string(cycle) + ", MARBLE_SEED=" + std::to_string(seed));
    auto started = ChildProcess::Start({"--write-millions", path});
    ASSERT_OK(started);
    ASSERT_TRUE(started->ListenFor(1)) << "the child ended with " << started->Wait();
    started->Listen(std::chrono::microseconds(random.Uniform(700'000)));
    started->Kill();
    auto database = Database::Open(path);
    ASSERT_OK(database);
    const auto one = RoundOf(*database, "one");
    const auto two = RoundOf(*database, "two");
    ASSERT_OK(one);
    ASSERT_OK(two);
    EXPECT_EQ(*one, *two) << "the two tables of one commit differ";
    const auto reported = static_cast<int64_t>(started->last().value_or(0));
    EXPECT_GE(*one, reported);
    EXPECT_LE(*one, reported + 1);
    EXPECT_GE(*one, before);
    before = *one;
    ASSERT_OK((*database)->Close());
  }
  std::cout << before << " rounds survived" << std::endl;
}

}  // namespace

/// Exit status of a child: 0 only if its parent went away.
int RunChild(int argc, char** argv) {
  const std::string mode = argv[1];
  const std::string path = argv[2];
  const int pipe = std::atoi(argv[argc - 1]);
  const arrow::Status status =
      mode == "--write" ? WriteUntilKilled(path, std::strtoull(argv[3], nullptr, 10), pipe)
                        : WriteMillionsUntilKilled(path, pipe);
  if (status.ok()) return 0;
  std::cerr << "child: " << status.ToString() << std::endl;
  return 1;
}

}  // namespace marble::test

int main(int argc, char** argv) {
  if (argc > 2 && std::string(argv[1]).starts_with("--write")) {
    return marble::test::RunChild(argc, argv);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

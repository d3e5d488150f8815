// Reads without a snapshot never go back in time, though the versions of a key are overwritten and
// all but the newest dropped by flushes: a read's moment and its view must fit together. More
// readers than processors, so that they are often stopped between two steps of a read.
//
// MARBLE_STRESS_ROUNDS sets the number of flushes.
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include <gtest/gtest.h>

#include <marble/key_value.h>

#include "io/memory_file_system.h"
#include "support/random.h"
#include "support/test_database.h"
#include "support/threads.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

constexpr int kReaders = 6;
constexpr int64_t kFlushes = 50;
constexpr int64_t kPutsPerFlush = 300;
constexpr int64_t kReadsAtOnce = 64;
constexpr char kKey[] = "key";

TEST(MomentTest, ReadsOfAKeyThatIsOverwrittenAndFlushedNeverGoBack) {
  MemoryFileSystem disk;
  Options options = TinyOptions();
  options.file_system = &disk;
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open("/database", options));
  ASSERT_OK_AND_ASSIGN(auto pairs, KeyValue::Open(database));
  ASSERT_OK(pairs->Put(kKey, "0"));
  const int64_t flushes = NumberFromEnvironment("MARBLE_STRESS_ROUNDS", kFlushes);
  Threads threads;
  threads.Start([&] {
    for (int64_t number = 1; number <= flushes * kPutsPerFlush && !threads.stopped(); ++number) {
      ARROW_RETURN_NOT_OK(pairs->Put(kKey, std::to_string(number)));
      if (number % kPutsPerFlush == 0) ARROW_RETURN_NOT_OK(database->Flush());
    }
    return arrow::Status::OK();
  });
  for (int reader = 0; reader < kReaders; ++reader) {
    threads.Repeat([&, before = int64_t{0}, reads = int64_t{0}]() mutable {
      std::string value;
      ARROW_ASSIGN_OR_RAISE(const bool found, pairs->Get(kKey, &value));
      if (!found) return arrow::Status::Invalid("the key is not found after number ", before);
      const int64_t number = std::stoll(value);
      if (number < before) return arrow::Status::Invalid(number, " is read after ", before);
      before = number;
      // Else the flushes, which wait for other threads, are starved. The writer's threads take the
      // processor from a reader at any step, as often as they wake.
      if (++reads % kReadsAtOnce == 0) std::this_thread::yield();
      return arrow::Status::OK();
    });
  }
  ASSERT_OK(threads.JoinFirst(1));
  ASSERT_OK(database->Close());
}

}  // namespace
}  // namespace marble::test

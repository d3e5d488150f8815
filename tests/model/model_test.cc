// A million random operations on a database and on an in-memory oracle at once, over option sets
// that make every part of the engine work: tiny memtables and files, no mappings, compression, each
// kind of point lookup, the in-memory file system with a fault now and then.
//
// MARBLE_MODEL_OPERATIONS sets the operations of all option sets together, MARBLE_SEED the seed (a
// failure prints it), MARBLE_TEST_DIRECTORY a folder in which the databases stay behind.
#include <iostream>
#include <memory>

#include <gtest/gtest.h>

#include "io/memory_file_system.h"
#include "support/kept_directory.h"
#include "support/model_runner.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

constexpr int64_t kOperations = 525'000;

TableOptions With(Compression compression, PointLookup lookup, int64_t block_bytes,
                  int64_t block_rows_max = 0) {
  TableOptions options;
  options.compression = compression;
  options.point_lookup = lookup;
  options.block_bytes = block_bytes;
  options.block_rows_max = block_rows_max;
  return options;
}

std::vector<ModelConfig> Configs() {
  std::vector<ModelConfig> configs;
  configs.push_back(
      {"tiny_files", TinyOptions(), With(Compression::kNone, PointLookup::kPointIndex, 2048)});

  ModelConfig lz4{"lz4_without_mappings", TinyOptions(),
                  With(Compression::kLz4, PointLookup::kBloomFilter, 1024)};
  lz4.options.use_mappings = false;
  lz4.binary_keys = true;
  configs.push_back(lz4);

  ModelConfig zstd{"zstd_without_lookup", TinyOptions(),
                   With(Compression::kZstd, PointLookup::kNone, 4096)};
  zstd.options.memtable_bytes = int64_t{96} << 10;
  configs.push_back(zstd);

  ModelConfig rows{"blocks_of_three_rows", TinyOptions(),
                   With(Compression::kNone, PointLookup::kBloomFilter, 0, 3)};
  rows.options.background_threads = 1;
  rows.key_count = 400;
  configs.push_back(rows);

  ModelConfig memory{"memory_file_system", TinyOptions(),
                     With(Compression::kLz4, PointLookup::kPointIndex, 2048)};
  memory.binary_keys = true;
  memory.in_memory = true;
  memory.steps_per_fault = 400;  // ten times as rare as in faults_model_test.cc
  memory.table.bottom_compression = Compression::kNone;
  configs.push_back(memory);

  ModelConfig scarce{"scarce_memory", TinyOptions(),
                     With(Compression::kNone, PointLookup::kPointIndex, 2048)};
  scarce.options.memory_budget = int64_t{16} << 20;  // enough for a cache of rows
  scarce.in_memory = true;
  configs.push_back(scarce);

  configs.push_back({"defaults", Options{}, TableOptions{}});

  ModelConfig manual{"compaction_by_hand", TinyOptions(), TableOptions{}};
  manual.options.auto_compaction = false;
  manual.options.memtable_bytes = int64_t{256} << 10;
  manual.bulk_rows = 200;
  manual.table.bottom_compression = Compression::kZstd;
  configs.push_back(manual);
  return configs;
}

class ModelTest : public testing::TestWithParam<ModelConfig> {};

TEST_P(ModelTest, AgreesWithTheOracle) {
  ModelConfig config = GetParam();
  const int64_t operations =
      ShareFromEnvironment("MARBLE_MODEL_OPERATIONS", kOperations, Configs().size());
  const uint64_t seed = SeedOfThisRun();
  std::cout << "MARBLE_SEED=" << seed << ", " << operations << " operations" << std::endl;

  const KeptDirectory directory("model_" + config.name);
  std::unique_ptr<MemoryFileSystem> memory;
  if (config.in_memory) {
    memory = std::make_unique<MemoryFileSystem>();
    memory->set_memory_is_scarce(config.name == "scarce_memory");
    config.options.file_system = memory.get();
    if (config.steps_per_fault > 0) config.faulty_disk = memory.get();
  }
  const std::string where = memory != nullptr ? "/model" : directory.database();
  ModelRunner runner(config, where, seed);
  const arrow::Status status = runner.Run(operations);
  ASSERT_TRUE(status.ok()) << status.ToString() << "\nthe database is in " << where;
  if (config.faulty_disk != nullptr) {
    const ModelFaults& faults = runner.faults();
    std::cout << faults.armed << " faults: " << faults.steps_failed << " operations failed, "
              << faults.writes_ended << " ended writes until opened again" << std::endl;
  }
  if (memory == nullptr) {
    const arrow::Status closed = runner.CloseForInspection();
    ASSERT_TRUE(closed.ok()) << closed.ToString();
  }
}

INSTANTIATE_TEST_SUITE_P(Options, ModelTest, testing::ValuesIn(Configs()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace marble::test

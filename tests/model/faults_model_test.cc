// The model's random operations on a disk whose operations fail now and then: reads, writes, syncs
// and creations, with EIO, without room or descriptors, or with fewer bytes than asked for. What
// must be true after each error stands in support/model_faults.cc.
//
// MARBLE_FAULT_OPERATIONS sets the operations of all option sets together, MARBLE_SEED the seed.
#include <iostream>

#include <gtest/gtest.h>

#include "io/memory_file_system.h"
#include "support/model_runner.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

constexpr int64_t kOperations = 24'000;
constexpr uint64_t kStepsPerFault = 40;

std::vector<ModelConfig> Configs() {
  std::vector<ModelConfig> configs;
  ModelConfig mapped{"mapped", TinyOptions(), TableOptions{}};
  mapped.table.block_bytes = 2048;
  configs.push_back(mapped);

  ModelConfig read{"lz4_without_mappings", TinyOptions(), TableOptions{}};
  read.options.use_mappings = false;
  read.options.memory_budget = int64_t{2} << 20;  // so that blocks are read again and again
  read.table.compression = Compression::kLz4;
  read.table.point_lookup = PointLookup::kBloomFilter;
  read.table.block_bytes = 1024;
  read.binary_keys = true;
  configs.push_back(read);

  ModelConfig rows{"blocks_of_three_rows", TinyOptions(), TableOptions{}};
  rows.options.background_threads = 1;
  rows.table.point_lookup = PointLookup::kNone;
  rows.table.bottom_compression = Compression::kZstd;
  rows.table.block_rows_max = 3;
  rows.key_count = 400;
  configs.push_back(rows);
  return configs;
}

class FaultsModelTest : public testing::TestWithParam<ModelConfig> {};

TEST_P(FaultsModelTest, AgreesWithTheOracleWhateverFails) {
  ModelConfig config = GetParam();
  const int64_t operations =
      ShareFromEnvironment("MARBLE_FAULT_OPERATIONS", kOperations, Configs().size());
  MemoryFileSystem disk;
  config.options.file_system = &disk;
  config.faulty_disk = &disk;
  config.steps_per_fault = kStepsPerFault;
  ModelRunner runner(config, "/model", SeedOfThisRun());
  const arrow::Status status = runner.Run(operations);
  ASSERT_TRUE(status.ok()) << status.ToString();
  const ModelFaults& faults = runner.faults();
  std::cout << "MARBLE_SEED=" << SeedOfThisRun() << ", " << operations << " operations, "
            << faults.armed << " faults: " << faults.steps_failed << " operations failed, "
            << faults.writes_ended << " ended writes until opened again, " << faults.commits_kept
            << " failed commits were there then" << std::endl;
  // A short run may by chance meet none: one fault in four or so is met, of one step in forty.
  if (operations >= 5000) {
    EXPECT_GT(faults.steps_failed, operations / 1000) << "hardly any fault was met";
  }
}

INSTANTIATE_TEST_SUITE_P(Options, FaultsModelTest, testing::ValuesIn(Configs()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace marble::test

#include "tree/compaction_picker.h"

#include <gtest/gtest.h>

namespace marble {
namespace {

/// Builds versions from short descriptions; the files exist only as metadata.
class VersionMaker {
 public:
  /// A file with keys [smallest, largest] of `mib` MiB whose rows have sequences up to `sequence`.
  VersionMaker& File(int level, std::string smallest, std::string largest, int mib,
                     uint64_t sequence) {
    FileMeta meta;
    meta.number = next_number_++;
    meta.size = static_cast<uint64_t>(mib) << 20;
    meta.rows = 1000;
    meta.smallest = std::move(smallest);
    meta.largest = std::move(largest);
    meta.sequence_min = meta.sequence_max = sequence;
    if (level > 0) meta.constant_sequence = sequence;
    metas_.push_back({static_cast<uint32_t>(level), level == 0 ? meta.number : 0, meta});
    return *this;
  }
  VersionMaker& Codec(Compression compression) {
    metas_.back().meta.compression = compression;
    return *this;
  }
  VersionMaker& Deletes(uint64_t deletes) {
    metas_.back().meta.deletes = deletes;
    return *this;
  }
  std::shared_ptr<const Version> Make() const {
    std::vector<PlacedFile> placed;
    for (const auto& added : metas_) {
      placed.push_back({static_cast<int>(added.level), added.run,
                        std::make_shared<TableFile>(added.meta, SstReaderOptions())});
    }
    return MakeVersion(Version(), {}, placed);
  }

 private:
  struct Added {
    uint32_t level;
    uint64_t run;
    FileMeta meta;
  };
  uint64_t next_number_ = 1;
  std::vector<Added> metas_;
};

CompactionLimits Limits(uint64_t flushed = kSequenceMax, int64_t base_mib = 256) {
  CompactionLimits limits;
  limits.level_base_bytes = base_mib << 20;
  limits.target_file_bytes = int64_t{64} << 20;
  limits.flushed_sequence = flushed;
  return limits;
}

TEST(CompactionPickerTest, LeavesFewLevel0RunsAlone) {
  auto version =
      VersionMaker().File(0, "a", "z", 64, 10).File(0, "a", "z", 64, 20).File(0, "a", "z", 64, 30);
  EXPECT_FALSE(PickCompaction(*version.Make(), Limits()).has_value());
}

TEST(CompactionPickerTest, MergesAllOfLevel0WithWhatOverlapsInLevel1) {
  VersionMaker maker;
  for (uint64_t i = 1; i <= 4; ++i) maker.File(0, "d", "m", 64, 10 * i);
  maker.File(1, "a", "c", 64, 1).File(1, "e", "f", 64, 1).File(1, "x", "z", 64, 1);
  auto plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 1);
  EXPECT_EQ(plan->InputFiles().size(), 5u);
  EXPECT_TRUE(plan->bottommost);
  EXPECT_FALSE(plan->trivial_move);
}

TEST(CompactionPickerTest, WhatIsMetMayReachOverRowsBelowThatWhatWasPickedDoesNot) {
  VersionMaker maker;
  for (uint64_t i = 1; i <= 4; ++i) maker.File(0, "m", "n", 64, 100 + i);
  maker.File(1, "c", "m", 64, 50).Deletes(1).File(2, "a", "d", 64, 10);
  auto plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->InputFiles().size(), 5u);
  EXPECT_FALSE(plan->bottommost) << "the delete in [c, m] is needed for [a, d] of level 2";
}

TEST(CompactionPickerTest, RunsOfLevel0BecomeOneUntilTheyAreWorthRewritingLevel1) {
  VersionMaker maker;
  maker.File(1, "a", "m", 300, 1).File(1, "n", "z", 300, 1);
  for (uint64_t i = 1; i <= 4; ++i) maker.File(0, "d", "p", 64, 10 * i);
  auto plan = PickCompaction(*maker.Make(), Limits(kSequenceMax, 1024));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 0);
  EXPECT_EQ(plan->InputFiles().size(), 4u);
  EXPECT_FALSE(plan->bottommost);
  EXPECT_FALSE(plan->trivial_move);
  maker.File(0, "d", "p", 64, 50);
  plan = PickCompaction(*maker.Make(), Limits(kSequenceMax, 1024));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 1);
  EXPECT_EQ(plan->InputFiles().size(), 7u);
}

TEST(CompactionPickerTest, AMergedRunOfLevel0IsNotMergedAgainWithSmallOnes) {
  VersionMaker maker;
  maker.File(1, "a", "z", 2000, 1).File(0, "d", "p", 400, 10);
  for (uint64_t i = 2; i <= 4; ++i) maker.File(0, "d", "p", 64, 10 * i);
  EXPECT_FALSE(PickCompaction(*maker.Make(), Limits(kSequenceMax, 2048)).has_value());
  maker.File(0, "d", "p", 64, 50);
  auto plan = PickCompaction(*maker.Make(), Limits(kSequenceMax, 2048));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 0);
  EXPECT_EQ(plan->InputFiles().size(), 4u);
  EXPECT_EQ(plan->InputFiles()[0]->meta().sequence_max, 50u) << "the youngest first";
}

TEST(CompactionPickerTest, RunsOfLevel0NewerThanAnUnflushedMemtableAreNotMergedAmongThemselves) {
  VersionMaker maker;
  maker.File(1, "a", "z", 600, 1);
  for (uint64_t i = 1; i <= 6; ++i) maker.File(0, "d", "p", 1, 10 * i);
  auto plan = PickCompaction(*maker.Make(), Limits(45, 1024));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->InputFiles().size(), 4u);
  EXPECT_EQ(plan->InputFiles()[0]->meta().sequence_max, 40u);
}

TEST(CompactionPickerTest, NeverLetsManyRunsOfLevel0StandForBeingUnlikeInSize) {
  VersionMaker maker;
  maker.File(1, "a", "z", 1800, 1);
  for (uint64_t i = 1; i <= 4; ++i) maker.File(0, "d", "p", 200, 10 * i);
  for (uint64_t i = 5; i <= 7; ++i) maker.File(0, "d", "p", 1, 10 * i);
  auto plan = PickCompaction(*maker.Make(), Limits(kSequenceMax, 1024));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 2) << "level 1 is over its size";
  maker.File(0, "d", "p", 200, 5);
  plan = PickCompaction(*maker.Make(), Limits(kSequenceMax, 1024));
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 1);
  EXPECT_EQ(plan->InputFiles().size(), 9u);
}

TEST(CompactionPickerTest, ARunThatMeetsNothingMovesDownAtOnce) {
  VersionMaker maker;
  maker.File(0, "c", "d", 64, 20).File(1, "a", "b", 64, 10);
  auto plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_TRUE(plan->trivial_move);
  EXPECT_EQ(plan->output_level, 1);
  // Newer rows of its keys may come to lie beside it, so it stays where another run overlaps it.
  maker.File(0, "c", "e", 64, 30);
  EXPECT_FALSE(PickCompaction(*maker.Make(), Limits()).has_value());
}

TEST(CompactionPickerTest, OrderedLoadsMoveDownWithoutARewrite) {
  VersionMaker maker;
  maker.File(0, "a", "b", 64, 10).File(0, "c", "d", 64, 20).File(0, "e", "f", 64, 30);
  maker.File(0, "g", "h", 64, 40);
  auto plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_TRUE(plan->trivial_move);
  ASSERT_EQ(plan->InputFiles().size(), 1u);
  EXPECT_EQ(plan->InputFiles()[0]->meta().smallest, "a");
}

TEST(CompactionPickerTest, DoesNotMoveDeletesToWhereTheyWouldStayForEver) {
  VersionMaker maker;
  maker.File(0, "a", "b", 64, 10).Deletes(5);
  maker.File(0, "c", "d", 64, 20).File(0, "e", "f", 64, 30).File(0, "g", "h", 64, 40);
  auto plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_FALSE(plan->trivial_move);
}

TEST(CompactionPickerTest, LeavesRunsNewerThanAnUnflushedMemtable) {
  VersionMaker maker;
  for (uint64_t i = 1; i <= 5; ++i) maker.File(0, "d", "m", 64, 10 * i);
  maker.File(1, "a", "z", 64, 1);
  EXPECT_FALSE(PickCompaction(*maker.Make(), Limits(35)).has_value());
  auto plan = PickCompaction(*maker.Make(), Limits(45));
  ASSERT_TRUE(plan.has_value());
  // Four runs of level 0 and the file of level 1; the newest run stays.
  EXPECT_EQ(plan->InputFiles().size(), 5u);
  EXPECT_EQ(plan->InputFiles()[0]->meta().sequence_max, 40u);
}

TEST(CompactionPickerTest, ALevelOverItsSizeGivesItsCheapestFile) {
  VersionMaker maker;
  maker.File(1, "a", "c", 200, 5).File(1, "d", "f", 200, 5);
  maker.File(2, "a", "b", 64, 1).File(2, "bb", "c", 64, 1).File(2, "e", "e", 64, 1);
  auto plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 2);
  EXPECT_EQ(plan->InputFiles().size(), 2u);
  EXPECT_EQ(plan->InputFiles()[0]->meta().smallest, "d");
}

TEST(CompactionPickerTest, FewRunsOfLevel0AreMergedIfAQuarterOfWhatIsReadAreDeletes) {
  const VersionMaker puts = VersionMaker().File(0, "a", "z", 64, 10);  // 1,000 rows
  VersionMaker maker = puts;
  auto plan = PickCompaction(*maker.File(0, "a", "z", 16, 20).Deletes(500).Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 1);
  EXPECT_EQ(plan->InputFiles().size(), 2u);
  EXPECT_TRUE(plan->bottommost);
  EXPECT_FALSE(PickCompaction(*maker.Make(), Limits(15)).has_value()) << "not flushed in order yet";
  EXPECT_FALSE(PickCompaction(*maker.File(1, "b", "c", 64, 1).Make(), Limits()).has_value());
  maker = puts;
  maker.File(0, "a", "z", 16, 20).Deletes(499);
  EXPECT_FALSE(PickCompaction(*maker.Make(), Limits()).has_value());
}

TEST(CompactionPickerTest, ALevelFarOverItsSizeGoesFirstUnlessLevel0NeedsItMore) {
  VersionMaker maker;
  maker.File(1, "a", "m", 400, 5).File(1, "n", "z", 400, 5);  // 3.1 times its size
  VersionMaker worth_it = maker;
  for (uint64_t i = 1; i <= 12; ++i) maker.File(0, "d", "p", 32, 10 * i);
  auto plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 2);
  maker.File(0, "d", "p", 1, 200);
  plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 1);
  for (uint64_t i = 1; i <= 4; ++i) worth_it.File(0, "d", "p", 100, 10 * i);
  plan = PickCompaction(*worth_it.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 1) << "worth it";
  worth_it.File(1, "za", "zz", 5000, 5);
  plan = PickCompaction(*worth_it.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 2) << "too far over";
  maker.File(1, "za", "zz", 5000, 5);
  plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 0) << "little beside what is too much";
}

TEST(CompactionPickerTest, OfFilesFullOfDeletesOneWithSomethingToDeleteGoesDown) {
  VersionMaker maker;
  maker.File(1, "a", "c", 1, 5).Deletes(600).File(1, "d", "f", 1, 5).Deletes(600);  // of 1,000
  EXPECT_FALSE(PickCompaction(*maker.Make(), Limits()).has_value());
  auto plan = PickCompaction(*maker.File(2, "e", "e", 64, 1).Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->InputFiles().size(), 2u);
  EXPECT_EQ(plan->InputFiles()[0]->meta().smallest, "d");
}

TEST(CompactionPickerTest, SmallNeighboursBecomeOneFile) {
  VersionMaker maker;
  maker.File(2, "a", "a", 64, 5);
  for (const char* key : {"b", "c", "d", "e", "f", "g", "h"}) maker.File(2, key, key, 1, 5);
  EXPECT_FALSE(PickCompaction(*maker.Make(), Limits()).has_value());
  EXPECT_FALSE(PlanFullCompaction(*maker.Make(), Limits()).has_value());
  maker.File(2, "i", "i", 1, 5).File(2, "j", "j", 64, 5);
  const auto plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->output_level, 2);
  EXPECT_TRUE(plan->bottommost);
  EXPECT_FALSE(plan->trivial_move);
  ASSERT_EQ(plan->InputFiles().size(), 8u);
  EXPECT_EQ(plan->InputFiles().front()->meta().smallest, "b");
  EXPECT_TRUE(plan->joins);
  EXPECT_TRUE(PlanFullCompaction(*maker.Make(), Limits()).has_value());
  CompactionLimits futile = Limits();
  futile.join_small_files = false;
  EXPECT_FALSE(PickCompaction(*maker.Make(), futile).has_value());
  EXPECT_FALSE(PlanFullCompaction(*maker.Make(), futile).has_value());
  EXPECT_FALSE(PickCompaction(*maker.File(3, "h", "k", 64, 1).Make(), Limits())->bottommost);
}

TEST(CompactionPickerTest, AFileIsNotJoinedWithNeighboursThatAreNothingBesideIt) {
  VersionMaker maker;
  maker.File(1, "a", "a", 10, 5);
  for (const char* key : {"b", "c", "d", "e", "f", "g", "h", "i"}) maker.File(1, key, key, 1, 5);
  const auto plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->InputFiles().size(), 8u);
  EXPECT_EQ(plan->InputFiles().front()->meta().smallest, "b");
}

TEST(CompactionPickerTest, FilesFullOfDeletesGoFirst) {
  VersionMaker maker;
  maker.File(1, "a", "c", 10, 5).Deletes(900).File(1, "d", "f", 10, 5);
  maker.File(2, "a", "b", 64, 1);
  auto plan = PickCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->InputFiles()[0]->meta().smallest, "a");
}

TEST(CompactionPickerTest, AFullCompactionTakesEverythingOnce) {
  VersionMaker maker;
  maker.File(0, "a", "z", 10, 30).File(1, "a", "c", 10, 5).File(2, "a", "b", 64, 1);
  auto plan = PlanFullCompaction(*maker.Make(), Limits());
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->InputFiles().size(), 3u);
  EXPECT_EQ(plan->output_level, 2);
  EXPECT_TRUE(plan->bottommost);
  auto done = VersionMaker().File(2, "a", "m", 64, 1).File(2, "n", "z", 64, 1);
  EXPECT_FALSE(PlanFullCompaction(*done.Make(), Limits()).has_value());
}

TEST(VersionTest, ARunFindsTheOneFileThatMayHoldAKey) {
  VersionMaker maker;
  maker.File(1, "a", "c", 1, 1).File(1, "f", "h", 1, 1);
  auto version = maker.Make();
  const marble::Run& run = *version->levels[1][0];
  EXPECT_EQ(run.Find("b"), run.files[0].get());
  EXPECT_EQ(run.Find("h"), run.files[1].get());
  EXPECT_EQ(run.Find("d"), nullptr);
  EXPECT_EQ(run.Find("i"), nullptr);
  EXPECT_EQ(run.Find(""), nullptr);
}

TEST(CompactionPickerTest, AFileInAnotherCodecThanTheBottomsIsRewrittenThere) {
  CompactionLimits limits = Limits();
  limits.bottom_compression = Compression::kZstd;
  const VersionMaker plain = VersionMaker().File(1, "a", "b", 300, 10);
  auto plan = PickCompaction(*plain.Make(), limits);
  ASSERT_TRUE(plan.has_value()) << "level 1 is over its size";
  EXPECT_FALSE(plan->trivial_move);
  VersionMaker same = plain;
  plan = PickCompaction(*same.Codec(Compression::kZstd).Make(), limits);
  ASSERT_TRUE(plan.has_value());
  EXPECT_TRUE(plan->trivial_move);
}

TEST(CompactionPickerTest, AFullCompactionRewritesARunInAnotherCodecThanTheBottoms) {
  CompactionLimits limits = Limits();
  VersionMaker maker;
  maker.File(1, "a", "b", 10, 10);
  EXPECT_FALSE(PlanFullCompaction(*maker.Make(), limits).has_value());
  limits.bottom_compression = Compression::kLz4;
  EXPECT_TRUE(PlanFullCompaction(*maker.Make(), limits).has_value());
  EXPECT_FALSE(PlanFullCompaction(*maker.Codec(Compression::kLz4).Make(), limits).has_value());
}

TEST(CompactionPickerTest, OnlyWhatGoesToTheBottomHasItsCodec) {
  TableOptions table{.compression = Compression::kLz4, .bottom_compression = Compression::kZstd};
  CompactionPlan plan;
  plan.output_level = 2;
  EXPECT_EQ(OutputCompression(plan, table), Compression::kLz4);
  plan.bottommost = true;
  EXPECT_EQ(OutputCompression(plan, table), Compression::kZstd);
  plan.output_level = 0;
  EXPECT_EQ(OutputCompression(plan, table), Compression::kLz4);
  table.bottom_compression.reset();
  plan.output_level = 1;
  EXPECT_EQ(OutputCompression(plan, table), Compression::kLz4);
}

}  // namespace
}  // namespace marble

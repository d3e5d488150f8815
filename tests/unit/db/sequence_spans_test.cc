// Tests of what files without a manifest tell of the operations that they hold.
#include "db/sequence_spans.h"

#include <gtest/gtest.h>

namespace marble {
namespace {

using Answer = SequenceSpans::Answer;

TEST(SequenceSpans, HaveWhatLiesBetweenAFilesBounds) {
  SequenceSpans spans;
  EXPECT_EQ(spans.Has(1), Answer::kNo);
  spans.Add(10, 20);
  spans.Add(30, 30);
  EXPECT_EQ(spans.highest(), 30u);
  for (const uint64_t sequence : {9, 21, 29, 31}) EXPECT_EQ(spans.Has(sequence), Answer::kNo);
  for (const uint64_t sequence : {10, 15, 20, 30}) EXPECT_EQ(spans.Has(sequence), Answer::kYes);
}

TEST(SequenceSpans, MayHaveAllThatIsOlderThanAFileWithoutALowest) {
  SequenceSpans spans;
  spans.AddWithoutLowest(20, 5);
  spans.Add(3, 4);
  EXPECT_EQ(spans.Has(21), Answer::kNo);
  EXPECT_EQ(spans.Has(20), Answer::kPerhaps);
  EXPECT_EQ(spans.Has(1), Answer::kPerhaps);
  EXPECT_EQ(spans.Has(3), Answer::kYes);
}

TEST(SequenceSpans, FilesWithTheRowsOfOneOperationHaveNoOther) {
  SequenceSpans spans;
  spans.AddWithoutLowest(20, 5);
  spans.AddWithoutLowest(20, 7);  // one operation in two files
  spans.AddWithoutLowest(30, 8);
  EXPECT_TRUE(spans.IsUnsureOf(20));
  spans.Tell(20, 12);
  spans.Tell(30, 3);  // the others are those of older operations
  spans.Tell(25, 8);
  EXPECT_EQ(spans.Has(20), Answer::kYes);
  EXPECT_EQ(spans.Has(19), Answer::kPerhaps);
  spans.Tell(30, 8);
  EXPECT_EQ(spans.Has(19), Answer::kNo);
  EXPECT_EQ(spans.Has(30), Answer::kYes);
  EXPECT_FALSE(spans.has_unsure());
}

}  // namespace
}  // namespace marble

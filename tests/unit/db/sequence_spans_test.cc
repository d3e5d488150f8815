// Tests of what files without a manifest tell of the operations that they hold.
#include "db/sequence_spans.h"

#include <gtest/gtest.h>

namespace marble {
namespace {

TEST(SequenceSpans, HaveWhatLiesBetweenAFilesBounds) {
  SequenceSpans spans;
  EXPECT_FALSE(spans.Have(1));
  spans.Add(10, 20);
  spans.Add(30, 30);
  EXPECT_EQ(spans.highest(), 30u);
  for (const uint64_t sequence : {9, 21, 29, 31}) EXPECT_FALSE(spans.Have(sequence));
  for (const uint64_t sequence : {10, 15, 20, 30}) EXPECT_TRUE(spans.Have(sequence));
}

}  // namespace
}  // namespace marble

// What a call waits for that meets another one under way.
#include "support/overtaking.h"

#include "support/small_database.h"

namespace marble {
namespace {

class OvertakingTest : public test::SmallDatabaseTest {};

TEST_F(OvertakingTest, ATableThatAnotherThreadIsCreatingIsThereWhenItIsDurable) {
  ASSERT_OK(Open());
  const auto create = [&] { EXPECT_TRUE(db_->CreateTable("t", RowSchema()).ok()); };
  EXPECT_FALSE(test::Overtakes(fs_.get(), FileOp::kSync, create, create));
}

}  // namespace
}  // namespace marble

// What a call waits for that meets another one under way.
#include "support/overtaking.h"

#include <cerrno>

#include "support/small_database.h"

namespace marble {
namespace {

class OvertakingTest : public test::SmallDatabaseTest {};

TEST_F(OvertakingTest, ATableThatAnotherThreadIsCreatingIsThereWhenItIsDurable) {
  ASSERT_OK(Open());
  const auto create = [&] { EXPECT_TRUE(db_->CreateTable("t", RowSchema()).ok()); };
  EXPECT_FALSE(test::Overtakes(fs_.get(), FileOp::kSync, create, create));
}

TEST_F(OvertakingTest, ATableIsCreatedThoughOneOfItsNameIsJustBeingDropped) {
  ASSERT_OK(Open());
  ASSERT_OK(db_->CreateTable("t", RowSchema()));
  const auto drop = [&] { EXPECT_TRUE(db_->DropTable("t").ok()); };
  const auto create = [&] { EXPECT_TRUE(db_->CreateTable("t", RowSchema()).ok()); };
  test::Overtakes(fs_.get(), FileOp::kSync, drop, create);
  EXPECT_TRUE(db_->GetTable("t").ok());
}

TEST_F(OvertakingTest, ASecondCloseWaitsForTheFirst) {
  ASSERT_OK(Open());
  ASSERT_OK(Put(0));
  const auto close = [&] { EXPECT_TRUE(db_->Close().ok()); };
  EXPECT_FALSE(test::Overtakes(fs_.get(), FileOp::kCreate, close, close));
}

TEST_F(OvertakingTest, ASecondCloseIsToldWhatTheFirstWasTold) {
  ASSERT_OK(Open());
  ASSERT_OK(Put(0));
  fs_->FailNth(FileOp::kSync, 1, EIO);
  const arrow::Status first = db_->Close();
  EXPECT_FALSE(first.ok());
  EXPECT_EQ(db_->Close(), first);
}

}  // namespace
}  // namespace marble

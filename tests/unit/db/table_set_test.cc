// Tests of the set of open tables.
#include "db/table_set.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace marble {
namespace {

using ::testing::ElementsAre;

TEST(TableSet, GivesTablesInTurn) {
  Environment environment;
  environment.pool = AcquireMemoryPool(0);
  {
    TableSet tables(&environment);
    for (uint32_t id : {2, 5, 9}) {
      auto record = DefaultTableRecord();
      ASSERT_TRUE(record.ok()) << record.status();
      record->id = id;
      record->name = "t" + std::to_string(id);
      ASSERT_TRUE(tables.Add(*record, nullptr).ok());
    }
    const auto behind = [&](uint32_t id) {
      std::vector<uint32_t> ids;
      for (const LiveTable* table : tables.Behind(id)) ids.push_back(table->record.id);
      return ids;
    };
    EXPECT_THAT(behind(0), ElementsAre(2, 5, 9));
    EXPECT_THAT(behind(2), ElementsAre(5, 9, 2));
    EXPECT_THAT(behind(7), ElementsAre(9, 2, 5));
    EXPECT_THAT(behind(9), ElementsAre(2, 5, 9));
  }
  ReleaseMemoryPool(environment.pool);
}

}  // namespace
}  // namespace marble

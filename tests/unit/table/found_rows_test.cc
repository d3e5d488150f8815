// Rows found in blocks: in which order they come, and that decoded blocks are let go.
#include "table/found_rows.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "support/test_database.h"

namespace marble::test {
namespace {

constexpr int64_t kBlockRows = 10;

std::shared_ptr<const StoredSchema> OneColumn() {
  return StoredSchema::Make(arrow::schema({arrow::field("id", arrow::int64())}),
                            {.primary_key = {"id"}})
      .ValueOrDie();
}

/// Rows whose ids are `first` and those that follow.
std::shared_ptr<const Block> MakeBlock(const StoredSchema& schema, int64_t first, int64_t memory) {
  arrow::Int64Builder ids;
  for (int64_t i = 0; i < kBlockRows; ++i) EXPECT_TRUE(ids.Append(first + i).ok());
  auto block = std::make_shared<Block>();
  block->memory = memory;
  block->rows.columns =
      arrow::RecordBatch::Make(schema.stored_schema(), kBlockRows, {ids.Finish().ValueOrDie()});
  return block;
}

FoundRow RowOf(std::shared_ptr<const Block> block, int64_t row) {
  FoundRow found;
  found.block = std::move(block);
  found.row = row;
  return found;
}

TEST(FoundRows, ComeInTheOrderOfKeysOrAsTheyWereFound) {
  const auto schema = OneColumn();
  for (const RowOrder order : {RowOrder::kOfKeys, RowOrder::kAny}) {
    FoundRows rows(schema.get(), {0}, arrow::default_memory_pool());
    const auto block = MakeBlock(*schema, 0, 0);
    for (const int64_t key : {4, 1, 3}) ASSERT_OK(rows.Take(key, RowOf(block, 2 * key)));
    std::vector<int64_t> indices;
    ASSERT_OK_AND_ASSIGN(const auto batch, rows.Finish(order, 5, &indices));
    const bool sorted = order == RowOrder::kOfKeys;
    EXPECT_EQ(indices, (sorted ? std::vector<int64_t>{1, 3, 4} : std::vector<int64_t>{4, 1, 3}));
    for (int64_t i = 0; i < 3; ++i) {
      EXPECT_EQ(static_cast<const arrow::Int64Array&>(*batch->column(0)).Value(i), 2 * indices[i]);
    }
  }
}

TEST(FoundRows, KeepFewDecodedBlocks) {
  const auto schema = OneColumn();
  FoundRows rows(schema.get(), {0}, arrow::default_memory_pool());
  constexpr int64_t kBlocks = 100;
  std::vector<std::weak_ptr<const Block>> blocks;
  for (int64_t b = 0; b < kBlocks; ++b) {
    // Of some blocks one row, of others several that lie apart.
    const auto block = MakeBlock(*schema, b * kBlockRows, int64_t{4} << 20);
    blocks.push_back(block);
    for (int64_t row = 0; row < 1 + b % 3; ++row) {
      ASSERT_OK(rows.Take((kBlocks - b) * kBlockRows + row, RowOf(block, 3 * row)));
    }
    const auto alive = std::ranges::count_if(blocks, [](const auto& w) { return !w.expired(); });
    ASSERT_LE(alive, 6) << "blocks of 4 MiB";
  }
  std::vector<int64_t> indices;
  ASSERT_OK_AND_ASSIGN(const auto batch,
                       rows.Finish(RowOrder::kOfKeys, (kBlocks + 1) * kBlockRows, &indices));
  ASSERT_EQ(batch->num_rows(), 199);
  for (int64_t i = 0; i < batch->num_rows(); ++i) {
    const int64_t block = kBlocks - indices[i] / kBlockRows;
    const int64_t row = 3 * (indices[i] % kBlockRows);
    EXPECT_EQ(static_cast<const arrow::Int64Array&>(*batch->column(0)).Value(i),
              block * kBlockRows + row);
  }
}

}  // namespace
}  // namespace marble::test

#include "row/string_dictionary.h"

#include <random>
#include <string>

#include <arrow/array/builder_binary.h>
#include <arrow/array/util.h>
#include <gtest/gtest.h>

#include "row/compute.h"

namespace marble {
namespace {

/// `distinct` strings of 0 to `longest` bytes, in random order, every tenth null.
template <typename Builder>
std::shared_ptr<arrow::Array> Strings(int64_t rows, uint32_t distinct, size_t longest) {
  std::mt19937 random(7);
  Builder builder;
  for (int64_t i = 0; i < rows; ++i) {
    const uint32_t value = random() % distinct;
    if (random() % 10 == 0) {
      EXPECT_TRUE(builder.AppendNull().ok());
      continue;
    }
    std::string text = std::to_string(value);
    text.insert(0, value % (longest + 1 - text.size()), 'x');
    EXPECT_TRUE(builder.Append(value == 0 ? "" : text).ok());
  }
  return *builder.Finish();
}

void ExpectAsArrowDoes(const std::shared_ptr<arrow::Array>& array) {
  for (const auto& part : {array, array->Slice(3), array->Slice(10, 77), array->Slice(5, 0)}) {
    const auto encoded = *EncodeShortStrings(*part, arrow::default_memory_pool());
    ASSERT_NE(encoded, nullptr);
    ASSERT_TRUE(encoded->ValidateFull().ok());
    const auto wanted = *EncodeDictionary(part, arrow::default_memory_pool());
    EXPECT_TRUE(encoded->Equals(*wanted));
  }
}

TEST(StringDictionary, IsWhatArrowMakesOfShortStringsOfEachType) {
  ExpectAsArrowDoes(Strings<arrow::StringBuilder>(1000, 5, 16));
  ExpectAsArrowDoes(Strings<arrow::BinaryBuilder>(5000, 900, 16));
  ExpectAsArrowDoes(Strings<arrow::LargeStringBuilder>(1000, 90, 9));
  ExpectAsArrowDoes(Strings<arrow::LargeBinaryBuilder>(1000, 9, 1));
}

TEST(StringDictionary, TellsStringsApartThatDifferInZeroBytesAtTheirEnd) {
  arrow::BinaryBuilder builder;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(builder.Append(std::string(i % 17, '\0')).ok());
  ExpectAsArrowDoes(*builder.Finish());
}

TEST(StringDictionary, LongStringsManyStringsAndOtherTypesAreLeftToOthers) {
  for (const auto& array :
       {Strings<arrow::StringBuilder>(100, 50, 30), Strings<arrow::StringBuilder>(50'000, 1200, 16),
        *arrow::MakeArrayOfNull(arrow::int64(), 3)}) {
    EXPECT_EQ(*EncodeShortStrings(*array, arrow::default_memory_pool()), nullptr);
  }
}

}  // namespace
}  // namespace marble

// The tables that seeds are made of, and that hostile log records are read for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/type.h>

#include <marble/options.h>

namespace marble::fuzz {

/// Types by family: fixed width, of variable length, nested, stored as others.
enum class Family { kPairs, kNumbers, kTexts, kNested, kConverted };
inline constexpr Family kFamilies[] = {Family::kPairs, Family::kNumbers, Family::kTexts,
                                       Family::kNested, Family::kConverted};
const char* NameOf(Family family);

std::shared_ptr<arrow::Schema> SchemaOf(Family family);
/// The first column, or the first two.
std::vector<std::string> KeyOf(Family family);
/// `count` rows from number `first` on; no two have the same key.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> RowsOf(Family family, int first, int count);

}  // namespace marble::fuzz

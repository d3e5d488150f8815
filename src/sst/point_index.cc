#include "sst/point_index.h"

#include <algorithm>

#include "base/check.h"
#include "base/prefetch.h"

namespace marble {

namespace {

constexpr uint64_t kEntriesPerLineAimedAt = 10;
/// Entries have 32 bits for a row.
constexpr uint64_t kRowsEnd = uint64_t{1} << 32;

uint32_t RowMask(uint32_t row_bits) { return row_bits == 32 ? ~0u : (1u << row_bits) - 1; }

}  // namespace

void PointIndexBuilder::Add(uint64_t hash, uint32_t row) {
  if (rows_.empty() && row != hashes_.size()) {
    rows_.reserve(hashes_.capacity());
    for (size_t i = 0; i < hashes_.size(); ++i) rows_.push_back(static_cast<uint32_t>(i));
    rows_.push_back(row);
  } else if (!rows_.empty()) {
    rows_.push_back(row);
  }
  hashes_.push_back(hash);
}

std::string PointIndexBuilder::Finish(uint64_t rows) const {
  MARBLE_CHECK(rows < kRowsEnd);
  const uint64_t lines =
      std::max<uint64_t>(1, (hashes_.size() + kEntriesPerLineAimedAt - 1) / kEntriesPerLineAimedAt);
  const auto row_bits = static_cast<uint32_t>(std::bit_width(rows));
  std::string section(PointIndex::kHeaderBytes + lines * PointIndex::kLineBytes, '\0');
  StoreLittle<uint64_t>(section.data(), lines);
  StoreLittle<uint64_t>(section.data() + 8, rows);
  StoreLittle<uint32_t>(section.data() + 16, row_bits);

  auto* base = reinterpret_cast<uint8_t*>(section.data()) + PointIndex::kHeaderBytes;
  const auto home = [lines](uint64_t hash) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * lines) >> 64);
  };
  constexpr size_t kAhead = 16;  // Lines are visited at random: fetch them before they are needed.
  for (size_t i = 0; i < hashes_.size(); ++i) {
    if (i + kAhead < hashes_.size()) {
      PrefetchLine(base + home(hashes_[i + kAhead]) * PointIndex::kLineBytes);
    }
    const uint64_t hash = hashes_[i];
    uint64_t at = home(hash);
    uint8_t* line = base + at * PointIndex::kLineBytes;
    while (line[12] == PointIndex::kLineEntries) {
      line[13] = 1;
      at = at + 1 == lines ? 0 : at + 1;
      line = base + at * PointIndex::kLineBytes;
    }
    const int entry = line[12]++;
    line[entry] = PointIndex::TagOf(hash);
    StoreLittle<uint32_t>(line + 16 + 4 * entry, PointIndex::ExtraTag(hash, row_bits) | RowAt(i));
  }
  return section;
}

arrow::Result<PointIndex> PointIndex::Open(std::string_view section, uint64_t rows) {
  if (section.size() < kHeaderBytes) return arrow::Status::Invalid("point index too short");
  PointIndex index;
  index.line_count_ = LoadLittle<uint64_t>(section.data());
  index.row_count_ = LoadLittle<uint64_t>(section.data() + 8);
  index.row_bits_ = LoadLittle<uint32_t>(section.data() + 16);
  const uint64_t line_bytes = section.size() - kHeaderBytes;
  if (index.line_count_ == 0 || line_bytes % kLineBytes != 0 ||
      index.line_count_ != line_bytes / kLineBytes) {
    return arrow::Status::Invalid("point index of ", section.size(), " bytes says it has ",
                                  index.line_count_, " lines");
  }
  if (index.row_count_ != rows) {
    return arrow::Status::Invalid("point index of ", index.row_count_, " rows in a file of ", rows);
  }
  if (rows >= kRowsEnd) return arrow::Status::Invalid("point index of ", rows, " rows");
  if (index.row_bits_ > 32) return arrow::Status::Invalid("point index with bad row bits");
  index.row_mask_ = RowMask(index.row_bits_);
  index.lines_ = reinterpret_cast<const uint8_t*>(section.data()) + kHeaderBytes;
  return index;
}

}  // namespace marble

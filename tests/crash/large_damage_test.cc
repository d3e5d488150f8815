// An eighth of a large database on a real disk is overwritten, in stretches of all sizes: verifying
// names every one of them, and repairing saves every row of what is intact.
//
// MARBLE_LARGE_DAMAGE_MIB sets the size of the database.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/util/key_value_metadata.h>
#include <gtest/gtest.h>

#include <marble/repair.h>
#include <marble/transfer.h>
#include <marble/verify.h>

#include "support/damage.h"
#include "support/kept_directory.h"
#include "support/random.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

constexpr int64_t kMebibytes = 40;
constexpr int64_t kBytesPerRow = 96;  // about
constexpr int64_t kRowsPerBatch = 65'536;
constexpr int64_t kTextBytes = 64;
constexpr int64_t kDamagedPart = 8;  // one of so many bytes
/// Every so-maniest row comes by itself and later, so that files of several levels overlap.
constexpr int64_t kLateEvery = 16;

std::shared_ptr<arrow::Schema> LargeSchema() {
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("hash", arrow::uint64()),
                        arrow::field("text", arrow::utf8())});
}

/// A row is a function of its id.
std::string TextOf(int64_t id) {
  const std::string number = std::to_string(Mix(static_cast<uint64_t>(id)));
  return number + std::string(kTextBytes - number.size(), static_cast<char>('a' + id % 26));
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> BatchOf(const std::vector<int64_t>& rows) {
  arrow::Int64Builder ids;
  arrow::UInt64Builder hashes;
  arrow::StringBuilder texts;
  ARROW_RETURN_NOT_OK(ids.AppendValues(rows));
  for (const int64_t id : rows) {
    ARROW_RETURN_NOT_OK(hashes.Append(Mix(static_cast<uint64_t>(id))));
    ARROW_RETURN_NOT_OK(texts.Append(TextOf(id)));
  }
  std::shared_ptr<arrow::Array> id, hash, text;
  ARROW_RETURN_NOT_OK(ids.Finish(&id));
  ARROW_RETURN_NOT_OK(hashes.Finish(&hash));
  ARROW_RETURN_NOT_OK(texts.Finish(&text));
  return arrow::RecordBatch::Make(LargeSchema(), static_cast<int64_t>(rows.size()),
                                  {id, hash, text});
}

/// The rows whose turn it is, in order, in batches.
class RowsReader : public arrow::RecordBatchReader {
 public:
  RowsReader(int64_t rows, bool late) : rows_(rows), late_(late) {}
  std::shared_ptr<arrow::Schema> schema() const override { return LargeSchema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    std::vector<int64_t> ids;
    for (; next_ < rows_ && static_cast<int64_t>(ids.size()) < kRowsPerBatch; ++next_) {
      if ((next_ % kLateEvery == 0) == late_) ids.push_back(next_);
    }
    out->reset();
    return ids.empty() ? arrow::Status::OK() : BatchOf(ids).Value(out);
  }

 private:
  const int64_t rows_;
  const bool late_;
  int64_t next_ = 0;
};

arrow::Status MakeDatabase(const std::string& path, int64_t rows) {
  ARROW_ASSIGN_OR_RAISE(auto db, Database::Open(path));
  TableOptions keyed;
  keyed.primary_key = {"id"};
  ARROW_RETURN_NOT_OK(db->CreateTable("large", LargeSchema(), keyed));
  ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(db, "large"));
  RowsReader early(rows, false);
  ARROW_RETURN_NOT_OK(BulkLoad(table, &early).status());
  RowsReader late(rows, true);
  for (std::shared_ptr<arrow::RecordBatch> batch;;) {
    ARROW_RETURN_NOT_OK(late.ReadNext(&batch));
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(table->Insert(batch));
  }
  return db->Close();
}

struct Stretch {
  std::string file;
  int64_t offset = 0;
  int64_t length = 0;
};

/// Every byte of it becomes another one.
void Overwrite(const Stretch& stretch) {
  std::fstream file(stretch.file, std::ios::in | std::ios::out | std::ios::binary);
  std::string bytes(static_cast<size_t>(stretch.length), '\0');
  file.seekg(stretch.offset).read(bytes.data(), stretch.length);
  for (char& byte : bytes) byte = static_cast<char>(byte ^ 0x5a);
  file.seekp(stretch.offset).write(bytes.data(), stretch.length);
  ASSERT_TRUE(file.flush().good()) << stretch.file;
}

/// What becomes of the rows, decided by Arrow's view of the files and the damage alone.
enum class Fate : uint8_t { kSaved, kLost, kUncertain };

constexpr int64_t kPage = 16'384;  // what has a checksum

bool Meets(const Stretch& stretch, int64_t begin, int64_t end) {
  const int64_t first = stretch.offset / kPage * kPage;
  const int64_t last = (stretch.offset + stretch.length - 1) / kPage * kPage + kPage;
  return first < end && begin < last;
}

/// Where the block index and the page checksums of a file begin and end: what is damaged there
/// costs more than a block.
std::vector<std::pair<int64_t, int64_t>> Precious(const arrow::KeyValueMetadata& metadata) {
  const std::string sections = *metadata.Get("marble.sections");
  const auto [index, length] = SectionIn(sections, "block_index");
  return {{index, index + length}, {SectionIn(sections, "page_checksums").first, INT64_MAX}};
}

/// Marks the ids of the rows of a file, before it is damaged.
arrow::Status Foresee(const std::string& path, const std::vector<Stretch>& stretches,
                      std::vector<Fate>* fates) {
  ARROW_ASSIGN_OR_RAISE(auto file,
                        arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ));
  ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
  ARROW_ASSIGN_OR_RAISE(const auto whole, file->ReadAt(0, size));
  ARROW_ASSIGN_OR_RAISE(auto reader, arrow::ipc::RecordBatchFileReader::Open(file));
  const auto is_hit = [&](int64_t begin, int64_t end) {
    return std::ranges::any_of(stretches, [&](const Stretch& stretch) {
      return stretch.file == path && Meets(stretch, begin, end);
    });
  };
  Fate otherwise = Fate::kSaved;
  for (const auto& [begin, end] : Precious(*reader->metadata())) {
    if (is_hit(begin, end)) otherwise = Fate::kUncertain;
  }
  int64_t begin = 0;
  for (int i = 0; i < reader->num_record_batches(); ++i) {
    ARROW_ASSIGN_OR_RAISE(const auto batch, reader->ReadRecordBatch(i));
    int64_t end = begin;
    for (const auto& column : batch->columns()) {
      for (const auto& buffer : column->data()->buffers) {
        if (buffer != nullptr) end = std::max(end, buffer->data() + buffer->size() - whole->data());
      }
    }
    const Fate fate = is_hit(begin, end) ? Fate::kLost : otherwise;
    const auto& ids = static_cast<const arrow::Int64Array&>(*batch->column(0));
    for (int64_t row = 0; row < ids.length(); ++row) {
      (*fates)[static_cast<size_t>(ids.Value(row))] = fate;
    }
    begin = (end + 63) / 64 * 64;  // behind the padding
  }
  return arrow::Status::OK();
}

/// Damages one of kDamagedPart bytes of all SSTables, in stretches of 16 KiB to 8 MiB that do not
/// meet. Half of the bytes are in the largest.
std::vector<Stretch> DamageFiles(const std::string& database, Random* random,
                                 std::vector<Fate>* fates) {
  std::vector<std::pair<std::string, int64_t>> files;
  int64_t left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(database + "/sst")) {
    files.emplace_back(entry.path().string(), static_cast<int64_t>(entry.file_size()));
    left += files.back().second;
  }
  std::ranges::sort(files);
  left /= kDamagedPart;
  std::vector<Stretch> stretches;
  while (left > 0) {
    const auto& [file, size] = files[random->Uniform(files.size())];
    const int64_t length =
        std::min({int64_t{16'384} << random->Uniform(10), left, std::max<int64_t>(size / 4, 1)});
    const Stretch next{file, random->Between(0, size - length), length};
    const bool meets = std::ranges::any_of(stretches, [&](const Stretch& other) {
      return other.file == file && other.offset < next.offset + next.length &&
             next.offset < other.offset + other.length;
    });
    if (meets) continue;
    stretches.push_back(next);
    left -= length;
  }
  for (const auto& [file, size] : files) {
    const arrow::Status status = Foresee(file, stretches, fates);
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  for (const Stretch& stretch : stretches) Overwrite(stretch);
  return stretches;
}

using Range = std::pair<int64_t, int64_t>;  // of ids, both included

/// What is there of the rows.
struct Saved {
  int64_t rows = 0;
  std::vector<Range> gaps;  // that are missing, ascending
};

/// Reads all rows of the repaired table, each of which must be right.
Saved ReadSaved(const std::string& path, int64_t all) {
  Saved saved;
  auto db = Database::Open(path);
  EXPECT_TRUE(db.ok()) << db.status().ToString();
  if (!db.ok()) return saved;
  auto table = *Table::Open(*db, "large");
  auto reader = *table->Scan();
  int64_t next = 0;
  const auto see = [&](int64_t id) {
    if (id > next) saved.gaps.emplace_back(next, id - 1);
    next = id + 1;
  };
  for (std::shared_ptr<arrow::RecordBatch> batch;;) {
    const arrow::Status status = reader->ReadNext(&batch);
    EXPECT_TRUE(status.ok()) << status.ToString();
    if (!status.ok() || batch == nullptr) break;
    const auto& ids = static_cast<const arrow::Int64Array&>(*batch->column(0));
    const auto& hashes = static_cast<const arrow::UInt64Array&>(*batch->column(1));
    const auto& texts = static_cast<const arrow::StringArray&>(*batch->column(2));
    bool right = true;
    for (int64_t i = 0; i < batch->num_rows(); ++i) {
      see(ids.Value(i));
      right &= hashes.Value(i) == Mix(static_cast<uint64_t>(ids.Value(i))) &&
               texts.GetView(i) == TextOf(ids.Value(i));
    }
    EXPECT_TRUE(right);
    saved.rows += batch->num_rows();
  }
  see(all);
  return saved;
}

/// All rows of intact blocks are there, and none of damaged ones.
void ExpectFates(const std::vector<Fate>& fates, const Saved& saved) {
  int64_t next = 0;
  const auto expect = [&](int64_t end, Fate never) {
    const auto begin = fates.begin() + next;
    const auto wrong = std::find(begin, fates.begin() + end, never);
    EXPECT_EQ(wrong, fates.begin() + end)
        << "row " << wrong - fates.begin() << (never == Fate::kLost ? " is there" : " is lost");
    next = end;
  };
  for (const auto& [first, last] : saved.gaps) {
    expect(first, Fate::kLost);
    expect(last + 1, Fate::kSaved);
  }
  expect(static_cast<int64_t>(fates.size()), Fate::kLost);
}

class Stopwatch {
 public:
  /// Seconds since the last call.
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// The id in a key as findings show it: "(id=17)".
int64_t IdOf(const std::string& key) {
  return std::strtoll(key.c_str() + key.find('=') + 1, nullptr, 10);
}

/// The ids that findings call lost lie in these, ascending and apart.
std::vector<Range> LostRanges(const std::vector<Finding>& findings) {
  std::vector<Range> all;
  for (const Finding& finding : findings) {
    if (finding.rows > 0) all.emplace_back(IdOf(finding.first_key), IdOf(finding.last_key));
  }
  std::ranges::sort(all);
  std::vector<Range> apart;
  for (const Range& range : all) {
    if (apart.empty() || range.first > apart.back().second + 1) {
      apart.push_back(range);
    } else {
      apart.back().second = std::max(apart.back().second, range.second);
    }
  }
  return apart;
}

bool Covers(const std::vector<Range>& lost, const Range& gap) {
  const auto behind = std::ranges::upper_bound(lost, gap.first, {}, &Range::first);
  return behind != lost.begin() && std::prev(behind)->second >= gap.second;
}

TEST(LargeDamageTest, IsNamedWhollyAndCostsTheRowsItHitOnly) {
  const int64_t mebibytes = NumberFromEnvironment("MARBLE_LARGE_DAMAGE_MIB", kMebibytes);
  const int64_t rows = (mebibytes << 20) / kBytesPerRow;
  const uint64_t seed = SeedOfThisRun();
  SCOPED_TRACE("MARBLE_SEED=" + std::to_string(seed));
  Random random(seed);
  const TestDirectory directory;
  const std::string path = directory.path() + "/database";
  Stopwatch watch;
  ASSERT_OK(MakeDatabase(path, rows));
  const double made = watch.Lap();
  std::vector<Fate> fates(static_cast<size_t>(rows));
  const std::vector<Stretch> stretches = DamageFiles(path, &random, &fates);
  watch.Lap();

  VerifyOptions options;
  int64_t told = 0;
  options.progress = [&](const VerifyProgress& progress) {
    told = std::max(told, progress.bytes_done);
    return arrow::Status::OK();
  };
  ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyDatabase(path, options));
  const double verified = watch.Lap();
  EXPECT_GT(told, 0);
  for (const Stretch& stretch : stretches) {
    EXPECT_TRUE(std::ranges::any_of(
        report.findings, [&](const Finding& f) { return f.is_damage() && f.file == stretch.file; }))
        << stretch.file << " at " << stretch.offset;
  }

  const std::string target = directory.path() + "/saved";
  ASSERT_OK_AND_ASSIGN(const RepairReport repaired, RepairDatabase(path, target));
  const double mended = watch.Lap();
  const auto large = std::ranges::find(repaired.tables, "large", &RepairedTable::name);
  ASSERT_NE(large, repaired.tables.end());
  const Saved saved = ReadSaved(target, rows);
  EXPECT_EQ(saved.rows, large->rows);
  EXPECT_EQ(saved.rows + large->rows_lost, rows);
  ExpectFates(fates, saved);
  const std::vector<Range> lost = LostRanges(report.findings);
  for (const Range& gap : saved.gaps) {
    ASSERT_TRUE(Covers(lost, gap)) << gap.first << " to " << gap.second << report.ToText();
  }
  int64_t named = 0;
  for (const Finding& finding : report.findings) named += finding.rows;
  EXPECT_EQ(named, large->rows_lost) << report.ToText() << repaired.ToText();
  std::cout << mebibytes << " MiB: " << rows << " rows, " << report.bytes << " bytes made in "
            << made << " s, " << stretches.size() << " stretches damaged, " << report.damages()
            << " findings in " << verified << " s, " << saved.rows << " rows saved in " << mended
            << " s, " << saved.gaps.size() << " gaps, MARBLE_SEED=" << seed << std::endl;
}

}  // namespace
}  // namespace marble::test

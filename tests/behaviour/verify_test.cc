// Verifying a database that nobody has open: whole ones are found whole, every kind of damage to
// every kind of file is found and named, and nothing is written.

#include <algorithm>
#include <map>

#include <marble/verify.h>

#include "support/damage.h"
#include "support/test_database.h"

namespace marble {
namespace {

using test::DamageWay;
using test::FileBytes;

/// Of the last record of the log.
constexpr char kLastRecord[] = "the last of all records";

/// What the tables hold: all pairs, and all rows of the others as text.
struct Content {
  std::map<std::string, std::string> pairs;
  std::map<std::string, std::string> tables;
  bool operator==(const Content&) const = default;
};

Options SmallOptions(FileSystem* fs) {
  Options options;
  options.file_system = fs;
  options.log_segment_bytes = 64 * 1024;
  options.memtable_bytes = 64 * 1024;
  options.memory_budget = 8 << 20;
  options.auto_compaction = false;
  return options;
}

std::shared_ptr<arrow::Schema> RowsSchema() {
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("word", arrow::utf8()),
                        arrow::field("list", arrow::list(arrow::int32()))});
}

std::shared_ptr<arrow::RecordBatch> Rows(int64_t begin, int64_t count) {
  std::string ids, words, lists;
  for (int64_t i = begin; i < begin + count; ++i) {
    const std::string comma = i == begin ? "[" : ",";
    ids += comma + std::to_string(i * 7919 % 100003);
    words += comma + "\"word " + std::to_string(i * i) + "\"";
    lists += comma + "[" + std::to_string(i) + ", null]";
  }
  return *test::BatchFromJson(RowsSchema(), {ids + "]", words + "]", lists + "]"});
}

/// A database with several tables, files, a bulk insert, range deletes and, unless `clean`, a log
/// of two segments and more; then the process "dies".
FileBytes MakeDatabase(bool clean) {
  MemoryFileSystem fs;
  {
    std::shared_ptr<Database> db;
    EXPECT_TRUE(Database::Open("/db", SmallOptions(&fs)).Value(&db).ok());
    auto kv = *KeyValue::Open(db);
    TableOptions keyed;
    keyed.primary_key = {"id"};
    keyed.compression = Compression::kZstd;
    EXPECT_TRUE(db->CreateTable("rows", RowsSchema(), keyed).ok());
    EXPECT_TRUE(db->CreateTable("journal", RowsSchema()).ok());
    auto rows = *Table::Open(db, "rows");
    auto journal = *Table::Open(db, "journal");
    const auto put = [&](int begin, int end) {
      for (int i = begin; i < end; ++i) {
        EXPECT_TRUE(kv->Put("key" + std::to_string(i), std::string(200, 'a' + i % 26)).ok());
      }
    };
    put(0, 200);
    EXPECT_TRUE(rows->Insert(Rows(0, 300)).ok());
    EXPECT_TRUE(journal->Insert(Rows(0, 300)).ok());
    EXPECT_TRUE(db->Flush().ok());
    EXPECT_TRUE(kv->DeleteRange("key10", "key12").ok());
    put(150, 300);
    EXPECT_TRUE(rows->Insert(Rows(200, 3000)).ok());     // larger than a memtable
    EXPECT_TRUE(journal->Insert(Rows(300, 3000)).ok());  // as well
    EXPECT_TRUE(db->Flush().ok());
    for (int i = 0; i < 3; ++i) {
      put(300 + 150 * i, 450 + 150 * i);
      EXPECT_TRUE(rows->Insert(Rows(5000 + 100 * i, 100)).ok());
      EXPECT_TRUE(journal->Insert(Rows(5000 + 100 * i, 100)).ok());
      EXPECT_TRUE(db->SyncLog().ok());
    }
    // Vouches for all before it, in whichever segments that is (docs/guarantees.md).
    EXPECT_TRUE(kv->Put("last", kLastRecord).ok());
    if (clean) EXPECT_TRUE(db->Close().ok());
    if (!clean) {
      fs.FailNth(FileOp::kChange, 1, arrow::Status::IOError("the process is dead"), true);
      EXPECT_FALSE(db->Close().ok());
    }
  }
  fs.ClearFaults();
  return test::ReadDatabase(&fs, "/db");
}

arrow::Result<Content> ReadContent(FileSystem* fs) {
  ARROW_ASSIGN_OR_RAISE(auto db, Database::Open("/db", SmallOptions(fs)));
  Content content;
  ARROW_ASSIGN_OR_RAISE(auto kv, KeyValue::Open(db));
  ARROW_ASSIGN_OR_RAISE(auto iterator, kv->NewIterator());
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    content.pairs.emplace(iterator->key(), iterator->value());
  }
  ARROW_RETURN_NOT_OK(iterator->status());
  for (const char* name : {"rows", "journal"}) {
    ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(db, name));
    ARROW_ASSIGN_OR_RAISE(auto rows, test::ScanAll(*table));
    ARROW_ASSIGN_OR_RAISE(rows, rows->CombineChunks());
    for (const auto& column : rows->columns()) content.tables[name] += column->ToString();
  }
  return content;
}

VerifyOptions On(FileSystem* fs) {
  VerifyOptions options;
  options.file_system = fs;
  return options;
}

/// Does some damage of the report name the file, or the folder of its log?
bool Names(const VerifyReport& report, const std::string& path) {
  for (const Finding& finding : report.findings) {
    if (finding.is_damage() && finding.file == path) return true;
  }
  return false;
}

class VerifyTest : public testing::TestWithParam<bool> {};

TEST_P(VerifyTest, WholeDatabaseHasNoDamageAndNothingIsWritten) {
  MemoryFileSystem fs;
  test::WriteTree(MakeDatabase(GetParam()), &fs);
  const FileBytes before = test::ReadTree(&fs, "/db");
  const uint64_t changes = fs.operations(FileOp::kChange);
  ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyDatabase("/db", On(&fs)));
  EXPECT_TRUE(report.ok()) << report.ToText();
  EXPECT_EQ(report.clean, GetParam());
  EXPECT_EQ(report.tables, 3);
  // Spare log segments are never read: whether there is one is up to the thread that makes them.
  EXPECT_EQ(report.files, std::ranges::count_if(before, [](const auto& file) {
              return file.first.find("/wal/spare-") == std::string::npos;
            }));
  EXPECT_GT(report.rows, 6000);
  EXPECT_EQ(report.log_records > 0, !GetParam());
  EXPECT_EQ(fs.operations(FileOp::kChange), changes);
  EXPECT_EQ(test::ReadTree(&fs, "/db"), before);
}

/// The segment of the log with the last record; "" if there is none. Nothing that is written later
/// vouches for it: damage may pass for the end of what was never synced.
std::string LastSegment(const FileBytes& files) {
  std::string last;
  for (const auto& [path, bytes] : files) {
    if (path.ends_with(".wal") && bytes.find(kLastRecord) != std::string::npos) last = path;
  }
  return last;
}

/// Is this what the tables held at an earlier moment, or now?
bool IsPrefix(const Content& earlier, const Content& all) {
  return std::ranges::includes(all.pairs, earlier.pairs);
}

/// The ways, and where in the file; tests/crash/damage_test.cc takes random places.
constexpr std::pair<DamageWay, double> kCases[] = {
    {DamageWay::kFlip, 0},    {DamageWay::kFlip, 0.5},        {DamageWay::kFlip, 1},
    {DamageWay::kZero, 0.5},  {DamageWay::kTruncate, 0.5},    {DamageWay::kEmpty, 0},
    {DamageWay::kDelete, 0},  {DamageWay::kDuplicateTail, 0}, {DamageWay::kSwapPages, 0},
    {DamageWay::kReplace, 0}, {DamageWay::kForeignPage, 0.5}};

/// Damages each file of `files` in every way and looks at what verifying and opening make of it.
void RunMatrix(const FileBytes& files, const Content& content) {
  const auto kind_of = [](const std::string& path) { return path.substr(0, 9); };
  const std::string last_segment = LastSegment(files);
  int cases = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string& path = files[i].first;
    if (path.find("/spare-") != std::string::npos) continue;  // nothing is ever read of them
    for (const auto& [way, at] : kCases) {
      // Swaps take from the neighbour of the same kind.
      std::string sibling;
      for (size_t j = 0; j < files.size(); ++j) {
        if (j != i && kind_of(files[j].first) == kind_of(path)) sibling = files[j].second;
      }
      FileBytes damaged = files;
      const auto offset = static_cast<size_t>(at * static_cast<double>(damaged[i].second.size()));
      if (!test::Damage(way, offset, sibling, &damaged[i].second)) continue;
      if (way == DamageWay::kDelete) damaged.erase(damaged.begin() + static_cast<int64_t>(i));
      SCOPED_TRACE(path + ": " + test::NameOf(way) + " at " + std::to_string(offset));
      ++cases;
      MemoryFileSystem fs;
      test::WriteTree(damaged, &fs);
      ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyDatabase("/db", On(&fs)));
      EXPECT_EQ(test::ReadTree(&fs, "/db"), damaged);
      const auto opened = ReadContent(&fs);
      if (opened.ok()) {
        // Only bytes that mean nothing may be damaged without a word.
        if (path == last_segment) {
          EXPECT_TRUE(IsPrefix(*opened, content));
        } else {
          EXPECT_TRUE(*opened == content) << report.ToText();
        }
        if (report.ok()) continue;
      }
      EXPECT_TRUE(Names(report, path)) << report.ToText() << "open: " << opened.status().ToString();
    }
  }
  EXPECT_GT(cases, 30);
}

TEST_P(VerifyTest, EveryDamageOfEveryKindOfFileIsFoundAndNamed) {
  const FileBytes files = MakeDatabase(GetParam());
  MemoryFileSystem fs;
  test::WriteTree(files, &fs);
  ASSERT_OK_AND_ASSIGN(const Content content, ReadContent(&fs));
  ASSERT_GT(content.pairs.size(), 500u);
  ASSERT_EQ(LastSegment(files).empty(), GetParam());
  RunMatrix(files, content);
}

INSTANTIATE_TEST_SUITE_P(All, VerifyTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "closed" : "died"; });

TEST(Verify, TellsWhichKeysADamagedBlockConcerns) {
  MemoryFileSystem fs;
  FileBytes files = MakeDatabase(/*clean=*/true);
  auto largest =
      std::ranges::max_element(files, {}, [](const auto& file) { return file.second.size(); });
  ASSERT_TRUE(largest->first.find("/sst/") != std::string::npos);
  largest->second[1000] ^= 1;
  test::WriteTree(files, &fs);
  ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyDatabase("/db", On(&fs)));
  ASSERT_EQ(report.damages(), 1) << report.ToText();
  const Finding& finding = report.findings.front();
  EXPECT_EQ(finding.kind, FindingKind::kCorrupt);
  EXPECT_EQ(finding.file, largest->first);
  EXPECT_EQ(finding.offset, 0);  // the page's
  EXPECT_GT(finding.rows, 0);
  EXPECT_NE(finding.first_key, "");
  EXPECT_NE(finding.table, "");
}

TEST(Verify, ReportsDamageOfSeveralFilesAtOnce) {
  MemoryFileSystem fs;
  FileBytes files = MakeDatabase(/*clean=*/true);
  int damaged = 0;
  for (auto& [path, bytes] : files) {
    if (path.find("/sst/") == std::string::npos) continue;
    bytes[bytes.size() / 2] ^= 1;
    ++damaged;
  }
  ASSERT_GT(damaged, 3);
  test::WriteTree(files, &fs);
  ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyDatabase("/db", On(&fs)));
  for (const auto& [path, bytes] : files) {
    if (path.find("/sst/") != std::string::npos) EXPECT_TRUE(Names(report, path)) << path;
  }
}

TEST(Verify, StrangeAndLeftOverFilesAreNamedButNoDamage) {
  MemoryFileSystem fs;
  test::WriteTree(MakeDatabase(/*clean=*/true), &fs);
  test::WriteTree({{"/db/notes.txt", "mine"}, {"/db/sst/000999.arrow", "left"}}, &fs);
  ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyDatabase("/db", On(&fs)));
  EXPECT_TRUE(report.ok()) << report.ToText();
  ASSERT_EQ(report.findings.size(), 2u) << report.ToText();
  for (const Finding& finding : report.findings) EXPECT_EQ(finding.kind, FindingKind::kStray);
}

TEST(Verify, LogIsNotAskedForAfterAProperClose) {
  MemoryFileSystem fs;
  FileBytes files = MakeDatabase(/*clean=*/true);
  test::WriteTree(files, &fs);
  // Left by a process that was killed while it removed its log.
  const std::string segment = "/db/wal/001000.wal";
  test::WriteTree({{segment, std::string(4096, '\0')}}, &fs);
  ASSERT_OK_AND_ASSIGN(const VerifyReport left, VerifyDatabase("/db", On(&fs)));
  EXPECT_TRUE(left.ok()) << left.ToText();
  ASSERT_EQ(left.findings.size(), 1u) << left.ToText();
  EXPECT_EQ(left.findings[0].kind, FindingKind::kStray);
  EXPECT_EQ(left.findings[0].file, segment);
  ASSERT_OK(fs.Remove(segment));
  ASSERT_OK(fs.Remove("/db/CURRENT"));
  ASSERT_OK_AND_ASSIGN(const VerifyReport lost, VerifyDatabase("/db", On(&fs)));
  EXPECT_EQ(lost.damages(), 1) << lost.ToText();
  EXPECT_TRUE(Names(lost, "/db/CURRENT"));
  EXPECT_TRUE(lost.clean);
  // What a later manifest would have said of the log is not known.
  test::WriteTree({{"/db/MANIFEST-000009", "unreadable"}}, &fs);
  ASSERT_OK_AND_ASSIGN(const VerifyReport newer, VerifyDatabase("/db", On(&fs)));
  EXPECT_FALSE(newer.clean);
}

TEST(Verify, OnlyTheManifestIsDamagedIfItIsAnotherDatabases) {
  MemoryFileSystem fs;
  test::WriteTree(MakeDatabase(/*clean=*/false), &fs);
  for (const auto& file : MakeDatabase(/*clean=*/false)) {
    if (!file.first.starts_with("/db/MANIFEST")) continue;
    ASSERT_OK(fs.Remove(file.first));
    test::WriteTree({file}, &fs);
  }
  ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyDatabase("/db", On(&fs)));
  ASSERT_EQ(report.damages(), 1) << report.ToText();
  EXPECT_TRUE(Names(report, "/db/MANIFEST-000001"));
}

TEST(Verify, RefusesAnOpenDatabaseAndOneThatIsNone) {
  test::TestDatabase db;
  ASSERT_OK(db.Open());
  const auto refused = VerifyDatabase(db.path());
  EXPECT_TRUE(IsLocked(refused.status())) << refused.status().ToString();
  EXPECT_FAILS_WITH(std::to_string(::getpid()), refused);
  ASSERT_OK(db.Close());
  ASSERT_OK(VerifyDatabase(db.path()));
  EXPECT_FAILS_WITH("no database", VerifyDatabase(db.path() + "/nothing"));
  EXPECT_FAILS_WITH("not a Marble database", VerifyDatabase("/usr"));
}

TEST(Verify, ProgressIsToldOfEveryFileAndMayEndIt) {
  MemoryFileSystem fs;
  test::WriteTree(MakeDatabase(/*clean=*/true), &fs);
  VerifyOptions options = On(&fs);
  int calls = 0;
  options.progress = [&](const VerifyProgress& progress) {
    EXPECT_EQ(progress.files_done, calls++);
    EXPECT_LE(progress.bytes_done, progress.bytes);
    return arrow::Status::OK();
  };
  ASSERT_OK(VerifyDatabase("/db", options));
  EXPECT_GT(calls, 3);
  options.progress = [](const VerifyProgress&) { return arrow::Status::Cancelled("enough"); };
  EXPECT_TRUE(VerifyDatabase("/db", options).status().IsCancelled());
}

}  // namespace
}  // namespace marble

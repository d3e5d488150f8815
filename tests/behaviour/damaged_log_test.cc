// A log that is damaged, in more than one place or together with other files: verify and repair
// name every place, and a repair takes what is intact.

#include <algorithm>
#include <set>

#include <marble/repair.h>
#include <marble/verify.h>

#include "support/damage.h"
#include "support/test_database.h"

namespace marble {
namespace {

using test::FileBytes;

constexpr int kPairs = 1500;

Options On(FileSystem* fs) {
  Options options;
  options.file_system = fs;
  options.log_segment_bytes = 64 * 1024;
  options.auto_compaction = false;
  return options;
}

std::string Key(int i) { return "pair" + std::to_string(100000 + i); }

/// What a process leaves that dies after `work`.
template <typename Work>
FileBytes FilesAfter(const Options& options, MemoryFileSystem* fs, Work work) {
  {
    auto db = *Database::Open("/db", options);
    work(db);
    EXPECT_TRUE(db->SyncLog().ok());
    // Vouches for all before it.
    EXPECT_TRUE((*KeyValue::Open(db))->Put("last", "of all").ok());
    fs->FailNth(FileOp::kChange, 1, arrow::Status::IOError("the process is dead"), true);
    EXPECT_FALSE(db->Close().ok());
  }
  fs->ClearFaults();
  return test::ReadDatabase(fs, "/db");
}

/// kPairs pairs in a log of several segments.
FileBytes LongLog() {
  MemoryFileSystem fs;
  return FilesAfter(On(&fs), &fs, [](const std::shared_ptr<Database>& db) {
    auto kv = *KeyValue::Open(db);
    ASSERT_OK(kv->Put("first", "in a file"));
    ASSERT_OK(db->Flush());
    for (int i = 0; i < kPairs; ++i) ASSERT_OK(kv->Put(Key(i), std::string(200, 'v')));
  });
}

void LoseManifest(FileBytes* files) {
  std::erase_if(*files, [](const auto& file) {
    return file.first == "/db/CURRENT" || file.first.starts_with("/db/MANIFEST");
  });
}

/// The segments of the log, in order, as places in `files`.
std::vector<size_t> Segments(const FileBytes& files) {
  std::vector<size_t> segments;
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string& path = files[i].first;
    if (path.ends_with(".wal") && path.find("spare") == std::string::npos) segments.push_back(i);
  }
  return segments;
}

/// The place of a key in a segment's record, which is then damaged.
void FlipAt(size_t place, std::string* bytes) {
  ASSERT_NE(place, std::string::npos);
  (*bytes)[place] ^= 1;
}

std::set<std::string> DamagedFiles(const std::vector<Finding>& findings) {
  std::set<std::string> files;
  for (const Finding& finding : findings) {
    if (finding.is_damage()) files.insert(finding.file);
  }
  return files;
}

struct Reports {
  VerifyReport verified;
  RepairReport repaired;
  MemoryFileSystem fs;  // with the repaired database in /new
};

void Look(const FileBytes& files, Reports* reports) {
  test::WriteTree(files, &reports->fs);
  VerifyOptions verify;
  verify.file_system = &reports->fs;
  ASSERT_OK(VerifyDatabase("/db", verify).Value(&reports->verified));
  RepairOptions repair;
  repair.file_system = &reports->fs;
  ASSERT_OK(RepairDatabase("/db", "/new", repair).Value(&reports->repaired));
}

bool HasNote(const RepairReport& report, const std::string& text) {
  return std::ranges::any_of(
      report.notes, [&](const std::string& note) { return note.find(text) != std::string::npos; });
}

TEST(DamagedLog, WithoutManifestTheLostEndOfASegmentIsNamed) {
  FileBytes files = LongLog();
  LoseManifest(&files);
  const auto segments = Segments(files);
  ASSERT_GE(segments.size(), 6u);
  auto& [path, bytes] = files[segments[segments.size() / 2]];
  FlipAt(bytes.rfind("pair"), &bytes);
  Reports reports;
  Look(files, &reports);
  EXPECT_TRUE(DamagedFiles(reports.verified.findings).contains(path)) << reports.verified.ToText();
  EXPECT_TRUE(DamagedFiles(reports.repaired.findings).contains(path)) << reports.repaired.ToText();
  EXPECT_TRUE(HasNote(reports.repaired, "not a state")) << reports.repaired.ToText();
  EXPECT_EQ(reports.repaired.log_records, kPairs + 1);  // "first" and "last", but one
}

TEST(DamagedLog, WithoutManifestALostSegmentIsNamed) {
  FileBytes files = LongLog();
  LoseManifest(&files);
  const auto segments = Segments(files);
  ASSERT_GE(segments.size(), 6u);
  const auto lost = files.begin() + static_cast<int64_t>(segments[segments.size() / 2]);
  const std::string path = lost->first;
  files.erase(lost);
  Reports reports;
  Look(files, &reports);
  const std::set<std::string> named = {"/db/CURRENT", path};
  EXPECT_EQ(DamagedFiles(reports.verified.findings), named) << reports.verified.ToText();
  EXPECT_EQ(DamagedFiles(reports.repaired.findings), named) << reports.repaired.ToText();
  EXPECT_TRUE(HasNote(reports.repaired, "not a state")) << reports.repaired.ToText();
}

TEST(DamagedLog, WithoutManifestAWholeLogHasNoDamage) {
  FileBytes files = LongLog();
  LoseManifest(&files);
  Reports reports;
  Look(files, &reports);
  const std::set<std::string> named = {"/db/CURRENT"};
  EXPECT_EQ(DamagedFiles(reports.verified.findings), named) << reports.verified.ToText();
  EXPECT_EQ(DamagedFiles(reports.repaired.findings), named) << reports.repaired.ToText();
  EXPECT_FALSE(HasNote(reports.repaired, "not a state")) << reports.repaired.ToText();
}

TEST(DamagedLog, TheLostEndOfASegmentBehindOtherDamageIsNamed) {
  FileBytes files = LongLog();
  const auto segments = Segments(files);
  ASSERT_GE(segments.size(), 6u);
  auto& [first, first_bytes] = files[segments[2]];
  auto& [second, second_bytes] = files[segments[4]];
  FlipAt(first_bytes.find("pair", first_bytes.size() / 2), &first_bytes);
  FlipAt(second_bytes.rfind("pair"), &second_bytes);
  Reports reports;
  Look(files, &reports);
  const std::set<std::string> named = {first, second};
  EXPECT_EQ(DamagedFiles(reports.verified.findings), named) << reports.verified.ToText();
  EXPECT_EQ(DamagedFiles(reports.repaired.findings), named) << reports.repaired.ToText();
}

TEST(DamagedLog, ALastRecordThatTheManifestVouchesForIsNamedBehindOtherDamage) {
  MemoryFileSystem fs;
  FileBytes files;
  {
    auto db = *Database::Open("/db", On(&fs));
    auto kv = *KeyValue::Open(db);
    for (int i = 0; i < kPairs; ++i) ASSERT_OK(kv->Put(Key(i), std::string(200, 'v')));
    ASSERT_OK(db->CreateTable("created last", arrow::schema({arrow::field("a", arrow::int8())})));
    fs.FailNth(FileOp::kChange, 1, arrow::Status::IOError("the process is dead"), true);
    ASSERT_FALSE(db->Close().ok());
    fs.ClearFaults();
    files = test::ReadDatabase(&fs, "/db");
  }
  std::set<std::string> named;
  const auto segments = Segments(files);
  ASSERT_GE(segments.size(), 3u);
  auto& [middle, middle_bytes] = files[segments[1]];
  FlipAt(middle_bytes.find("pair", middle_bytes.size() / 2), &middle_bytes);
  named.insert(middle);
  for (const size_t i : segments) {
    const size_t at = files[i].second.find("created last");
    if (at == std::string::npos) continue;
    FlipAt(at, &files[i].second);
    named.insert(files[i].first);
  }
  ASSERT_EQ(named.size(), 2u);
  Reports reports;
  Look(files, &reports);
  EXPECT_EQ(DamagedFiles(reports.verified.findings), named) << reports.verified.ToText();
  EXPECT_EQ(DamagedFiles(reports.repaired.findings), named) << reports.repaired.ToText();
}

std::shared_ptr<arrow::Schema> NumberSchema() {
  return arrow::schema({arrow::field("n", arrow::int64(), false)});
}

std::shared_ptr<arrow::RecordBatch> Numbers(int begin, int end) {
  std::string text;
  for (int i = begin; i < end; ++i) text += (i == begin ? "[" : ",") + std::to_string(i);
  return *test::BatchFromJson(NumberSchema(), {text + "]"});
}

/// Pairs and, behind them, a batch of rows that is larger than a memtable, before the manifest
/// names its file.
FileBytes LogThatAttaches() {
  MemoryFileSystem fs;
  Options options = On(&fs);
  options.memtable_bytes = 64 * 1024;
  FileBytes before;
  FileBytes files = FilesAfter(options, &fs, [&](const std::shared_ptr<Database>& db) {
    TableOptions keyed;
    keyed.primary_key = {"n"};
    ASSERT_OK(db->CreateTable("numbers", NumberSchema(), keyed));
    auto kv = *KeyValue::Open(db);
    for (int i = 0; i < 20; ++i) ASSERT_OK(kv->Put(Key(i), "value"));
    ASSERT_OK(db->SyncLog());
    before = test::ReadDatabase(&fs, "/db");
    ASSERT_OK((*Table::Open(db, "numbers"))->Insert(Numbers(0, 30000)));
  });
  for (auto& [path, bytes] : files) {
    const auto earlier =
        std::ranges::find(before, path, [](const auto& file) { return file.first; });
    if (path.starts_with("/db/MANIFEST")) bytes = earlier->second;
  }
  return files;
}

TEST(DamagedLog, FilesThatItAttachesBehindDamageAreChecked) {
  FileBytes files = LogThatAttaches();
  std::set<std::string> named;
  std::string attached;
  for (auto& [path, bytes] : files) {
    if (path.ends_with(".arrow")) {
      attached = path;
      bytes[bytes.size() / 2] ^= 1;
      named.insert(path);
    }
    if (!path.ends_with(".wal") || bytes.find(Key(7)) == std::string::npos) continue;
    FlipAt(bytes.find(Key(7)), &bytes);
    named.insert(path);
  }
  ASSERT_EQ(named.size(), 2u);
  Reports reports;
  Look(files, &reports);
  EXPECT_EQ(DamagedFiles(reports.verified.findings), named) << reports.verified.ToText();
  EXPECT_EQ(DamagedFiles(reports.repaired.findings), named) << reports.repaired.ToText();
}

TEST(DamagedLog, FilesThatADamagedRecordMayAttachAreNotCalledStray) {
  FileBytes files = LogThatAttaches();
  std::string attached;
  for (const auto& [path, bytes] : files) {
    if (path.ends_with(".arrow")) attached = path;
  }
  ASSERT_NE(attached, "");
  bool flipped = false;
  for (auto& [path, bytes] : files) {
    const size_t last = path.ends_with(".wal") ? bytes.find(Key(19)) : std::string::npos;
    if (last == std::string::npos) continue;
    // The record behind it, which attaches the file.
    FlipAt(last / 64 * 64 + 64 + 70, &bytes);
    flipped = true;
  }
  ASSERT_TRUE(flipped);
  Reports reports;
  Look(files, &reports);
  EXPECT_FALSE(reports.verified.ok());
  EXPECT_TRUE(std::ranges::none_of(reports.verified.findings, [&](const Finding& finding) {
    return finding.file == attached;
  })) << reports.verified.ToText();
}

/// The files of a database without manifest whose first SSTable has lost its end. `work` fills the
/// append table "journal".
template <typename Work>
FileBytes JournalWithoutItsFirstFile(Work work) {
  MemoryFileSystem fs;
  FileBytes files = FilesAfter(On(&fs), &fs, [&work](const std::shared_ptr<Database>& db) {
    ASSERT_OK(db->CreateTable("journal", NumberSchema()));
    work(db, *Table::Open(db, "journal"));
  });
  LoseManifest(&files);
  const auto first =
      std::ranges::find_if(files, [](const auto& file) { return file.first.ends_with(".arrow"); });
  first->second.back() ^= 1;
  return files;
}

arrow::Result<std::set<int64_t>> NumbersIn(FileSystem* fs, int64_t* rows) {
  ARROW_ASSIGN_OR_RAISE(const auto db, Database::Open("/new", On(fs)));
  ARROW_ASSIGN_OR_RAISE(const auto table, Table::Open(db, "journal"));
  ARROW_ASSIGN_OR_RAISE(const auto all, test::ScanAll(*table));
  *rows = all->num_rows();
  std::set<int64_t> numbers;
  for (const auto& chunk : all->column(0)->chunks()) {
    const auto& values = static_cast<const arrow::Int64Array&>(*chunk);
    for (int64_t i = 0; i < values.length(); ++i) numbers.insert(values.Value(i));
  }
  return numbers;
}

TEST(DamagedLog, WithoutManifestItGivesRowsBackThatAnAppendTablesLostFileHad) {
  // Files of one operation have no sequence numbers, those of several have.
  for (const int operations : {1, 5}) {
    SCOPED_TRACE(operations);
    Reports reports;
    Look(JournalWithoutItsFirstFile([operations](const auto& db, const auto& journal) {
           for (int file = 0; file < 3; ++file) {
             for (int i = 0; i < operations; ++i) {
               const int begin = 1000 * file + 100 * i;
               ASSERT_OK(journal->Insert(Numbers(begin, begin + 100)));
             }
             ASSERT_OK(db->Flush());
           }
           ASSERT_OK(journal->Insert(Numbers(9000, 9100)));
         }),
         &reports);
    SCOPED_TRACE(reports.repaired.ToText());
    int64_t rows = 0;
    ASSERT_OK_AND_ASSIGN(const auto numbers, NumbersIn(&reports.fs, &rows));
    EXPECT_EQ(numbers.size(), 300u * operations + 100);
    EXPECT_EQ(rows, 300 * operations + 100);  // none twice
    EXPECT_TRUE(HasNote(reports.repaired, "taken from the log stand behind"));
  }
}

TEST(DamagedLog, WithoutManifestACompactedFileTellsWhichOperationsItHas) {
  Reports reports;
  Look(JournalWithoutItsFirstFile([](const auto& db, const auto& journal) {
         TableOptions other;
         ASSERT_OK(db->CreateTable("other", NumberSchema(), other));
         ASSERT_OK((*Table::Open(db, "other"))->Insert(Numbers(0, 1)));
         ASSERT_OK(db->Flush());  // the file that loses its end
         for (int i = 0; i < 4; ++i) {
           ASSERT_OK(journal->Insert(Numbers(100 * i, 100 * i + 100)));
           ASSERT_OK(db->Flush());
         }
         ASSERT_OK(db->Compact("journal"));
       }),
       &reports);
  SCOPED_TRACE(reports.repaired.ToText());
  EXPECT_FALSE(HasNote(reports.repaired, "do not tell how far back"));
  int64_t rows = 0;
  ASSERT_OK_AND_ASSIGN(const auto numbers, NumbersIn(&reports.fs, &rows));
  EXPECT_EQ(numbers.size(), 400u);
  EXPECT_EQ(rows, 400);
}

}  // namespace
}  // namespace marble

// Files are damaged at random behind everybody's back: of databases that were closed and of such
// whose process died, at random places, with pages and files of other places, times and databases.
// Whatever is opened, nobody is given a wrong row: a database holds all that it held before, or
// says that it is damaged; and what verifying calls sound can be read.
//
// MARBLE_DAMAGES sets the number of damages, MARBLE_SEED the seed.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <marble/error.h>
#include <marble/verify.h>

#include "support/crash_checker.h"
#include "support/crash_script.h"
#include "support/damage.h"

namespace marble::test {
namespace {

constexpr int64_t kDamages = 2'400;
/// So many damages of the files of one life.
constexpr int64_t kDamagesPerLife = 150;
/// Of the header of a log file, and of each record's.
constexpr int64_t kLogHeaderBytes = 64;

/// Each ends with a commit that vouches for all before it: nothing written later can be missed.
constexpr const char* kScripts[] = {
    "40 sync 1",
    "20 flush 15 sync 1",
    "tiny 60 sync 1",
    "tiny 30 reopen 20 stop 20 sync 1",
    "loads 20 compact 12 sync 1",
    "schema 5 schema 5 flush schema schema 10 sync 1",
    "bulk 25 sync 20 sync 1",
    "wide 60 sync 1",
};

/// "CURRENT", "MANIFEST", "wal" or "sst".
std::string KindOf(const std::string& path) {
  const std::string name = path.substr(std::string(kCrashPath).size() + 1);
  return name.substr(0, name.find_first_of("/-"));
}

/// Where bytes begin to differ from as many others, and where that ends.
std::pair<int64_t, int64_t> Changed(const std::string& before, const std::string& after) {
  const auto first = std::mismatch(before.begin(), before.end(), after.begin()).first;
  const auto last = std::mismatch(before.rbegin(), before.rend(), after.rbegin()).first;
  return {first - before.begin(), before.rend() - last};
}

/// Where each record of a log segment or manifest begins, and at last where they end
/// (docs/formats.md).
std::vector<int64_t> RecordsOf(const std::string& bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  std::vector<int64_t> offsets = {kLogHeaderBytes};
  while (offsets.back() + kLogHeaderBytes <= size) {
    uint64_t header[2];  // length of the payload and kind
    std::memcpy(header, bytes.data() + offsets.back(), sizeof header);
    if (header[1] < 1 || header[1] > 3 || header[0] >= bytes.size()) break;
    constexpr int64_t kAlignment = 64;
    const auto payload = static_cast<int64_t>(header[0]);
    const int64_t padded = (payload + kAlignment - 1) / kAlignment * kAlignment;
    if (offsets.back() + kLogHeaderBytes + padded > size) break;
    offsets.push_back(offsets.back() + kLogHeaderBytes + padded);
  }
  return offsets;
}

std::map<std::string, std::string> ByPath(const FileBytes& files) {
  return {files.begin(), files.end()};
}

/// The life of a database up to a moment behind its last commit, where the process ended.
struct Life {
  FileBytes files;
  std::map<std::string, std::string> earlier;  // its files at an earlier moment
  std::map<std::string, std::string> foreign;  // those of another database with the same history
  CrashPromise promise;
  bool closed = false;
  std::string last_segment;                 // of the log, with its last record
  std::pair<int64_t, int64_t> last_record;  // where that begins and ends
  std::set<std::string> strays;             // SSTables that nothing names
};

/// One damage of one file.
struct Harm {
  size_t file = 0;
  DamageWay way = DamageWay::kFlip;
  size_t at = 0;
  std::string donor;
  bool earlier = false;  // the donor is the file itself
  bool foreign = false;  // or that of another database
  std::string words;
};

class DamageTest : public ::testing::TestWithParam<size_t> {
 protected:
  std::string Words() const { return kScripts[GetParam()]; }

  /// None of a disk on which the database is not there yet.
  static FileBytes FilesOf(MemoryDisk& disk) {
    MemoryFileSystem fs(disk.Clone());
    if (!fs.Exists(kCrashPath).ValueOr(false)) return {};
    return ReadDatabase(&fs, kCrashPath);
  }

  /// Runs the script and keeps the disk before each of its changes.
  std::vector<std::pair<std::unique_ptr<MemoryDisk>, CrashPromise>> RunScript(uint64_t seed) {
    std::vector<std::pair<std::unique_ptr<MemoryDisk>, CrashPromise>> moments;
    MemoryFileSystem disk;
    CrashScript script(Words(), seed, &disk);
    disk.set_observer([&](MemoryDisk* now, FileOp, const std::string&) {
      moments.emplace_back(now->Clone(), script.promise());
    });
    const arrow::Status status = script.Run();
    EXPECT_TRUE(status.ok()) << status.ToString();
    disk.set_observer(nullptr);
    moments.emplace_back(disk.CloneDisk(), script.promise());
    return moments;
  }

  /// A life that ended somewhere between the last commit and the end of closing; every third is
  /// closed.
  void Live(uint64_t seed) {
    setting_ = std::make_unique<CrashSetting>(Words(), seed);
    Random random(seed);
    auto moments = RunScript(seed);
    const uint64_t last = moments.back().second.acknowledged;
    const auto first = std::ranges::find_if(
        moments, [&](const auto& moment) { return moment.second.acknowledged == last; });
    const auto behind = static_cast<uint64_t>(moments.end() - first);
    life_ = {};
    life_.closed = random.OneIn(3);
    // Half of the others died before closing began.
    const uint64_t end = life_.closed ? behind - 1 : random.OneIn(2) ? 0 : random.Uniform(behind);
    const auto& [disk, promise] = *(first + static_cast<int64_t>(end));
    life_.closed = end == behind - 1;
    life_.promise = promise;
    life_.files = FilesOf(*disk);
    life_.earlier = ByPath(FilesOf(*moments[random.Uniform(moments.size())].first));
    life_.foreign = ByPath(FilesOf(*RunScript(seed).back().first));
    for (const auto& [path, bytes] : life_.files) {
      if (KindOf(path) == "wal")
        FindLastRecord(path, bytes, "counter" + std::to_string(last) + ":");
    }
    MemoryFileSystem fs;
    WriteTree(life_.files, &fs);
    VerifyOptions options;
    options.file_system = &fs;
    const auto whole = VerifyDatabase(kCrashPath, options);
    ASSERT_TRUE(whole.ok() && whole->ok());
    for (const Finding& finding : whole->findings) {
      if (finding.kind == FindingKind::kStray) life_.strays.insert(finding.file);
    }
  }

  /// Looks in a segment of the log for the record of the last commit, which puts its number under
  /// "counter": `pair` is that key and what the value begins with.
  void FindLastRecord(const std::string& path, const std::string& bytes, const std::string& pair) {
    const std::vector<int64_t> records = RecordsOf(bytes);
    for (size_t i = 0; i + 1 < records.size(); ++i) {
      const std::string_view record(bytes.data() + records[i],
                                    static_cast<size_t>(records[i + 1] - records[i]));
      if (record.find(pair) == std::string_view::npos) continue;
      EXPECT_EQ(life_.last_segment, "") << "the record of the last commit is there twice";
      life_.last_segment = path;
      life_.last_record = {records[i], records[i + 1]};
    }
  }

  /// Each kind of file in turn, and each way in turn for all kinds. But where a manifest or the log
  /// ends early, what had changed schemas may be gone, and nothing tells (docs/guarantees.md).
  Harm Choose(int64_t number, Random* random) const {
    std::map<std::string, std::vector<size_t>> kinds;
    for (size_t i = 0; i < life_.files.size(); ++i) {
      const std::string& path = life_.files[i].first;
      if (path.find("/spare-") != std::string::npos) continue;  // nothing is ever read of them
      const bool may_end_early =
          !life_.closed && (KindOf(path) == "MANIFEST" || path == life_.last_segment);
      if (may_end_early && Words().find("schema") != std::string::npos) continue;
      kinds[KindOf(path)].push_back(i);
    }
    const auto kind = std::next(kinds.begin(), number % std::ssize(kinds));
    Harm harm;
    harm.file = kind->second[random->Uniform(kind->second.size())];
    harm.way = kDamageWays[number / std::ssize(kinds) % std::ssize(kDamageWays)];
    const auto& [path, bytes] = life_.files[harm.file];
    // What the parts at both ends say concerns the whole file.
    const uint64_t near = std::min<uint64_t>(bytes.size(), 4096);
    harm.at = random->OneIn(3)   ? random->Uniform(near)
              : random->OneIn(2) ? bytes.size() - 1 - random->Uniform(near)
                                 : random->Uniform(bytes.size());
    std::string from = "a sibling";
    if (random->OneIn(3) && life_.earlier.contains(path)) {
      harm.donor = life_.earlier.at(path);
      harm.earlier = true;
      from = "itself, earlier";
    } else if (random->OneIn(2) && life_.foreign.contains(path)) {
      harm.donor = life_.foreign.at(path);
      harm.foreign = true;
      from = "another database";
    } else {
      harm.donor = life_.files[kind->second[random->Uniform(kind->second.size())]].second;
    }
    harm.words = path + ": " + NameOf(harm.way) + " at " + std::to_string(harm.at) + " of " +
                 std::to_string(bytes.size()) + ", donor: " + from;
    return harm;
  }

  /// False if the harm would change nothing.
  static bool Inflict(const Harm& harm, FileBytes* files) {
    if (!Damage(harm.way, harm.at, harm.donor, &(*files)[harm.file].second)) return false;
    if (harm.way == DamageWay::kDelete)
      files->erase(files->begin() + static_cast<int64_t>(harm.file));
    return true;
  }

  /// What the damaged database may hold, if it is opened.
  CrashPromise PromiseAfter(const Harm& harm, const std::string& damaged) const {
    CrashPromise promise = life_.promise;
    const auto& [path, bytes] = life_.files[harm.file];
    if (life_.closed || path != life_.last_segment) return promise;
    // Nothing was written later than the last record of the log, which vouches for all before it:
    // it may look as if it had never been synced, and with it what else is damaged.
    const auto [begin, end] = life_.last_record;
    const auto holds = [&](int64_t from, int64_t to) {
      return static_cast<int64_t>(damaged.size()) >= to &&
             std::equal(bytes.begin() + from, bytes.begin() + to, damaged.begin() + from);
    };
    if (holds(0, kLogHeaderBytes) && holds(begin, end)) return promise;
    if (holds(0, begin)) {
      --promise.acknowledged;
      return promise;
    }
    promise.acknowledged = 0;
    promise.acknowledged_loads = 0;
    return promise;
  }

  void Check(const Harm& harm) {
    FileBytes damaged = life_.files;
    if (!Inflict(harm, &damaged)) return;
    ++damages_;
    pairs_.emplace(KindOf(life_.files[harm.file].first), harm.way);
    MemoryFileSystem fs;
    WriteTree(damaged, &fs);
    VerifyOptions options;
    options.file_system = &fs;
    const auto verified = VerifyDatabase(kCrashPath, options);
    ASSERT_TRUE(verified.ok()) << verified.status().ToString();
    EXPECT_EQ(ReadDatabase(&fs, kCrashPath), damaged) << "verifying has written";
    static const std::string kGone;
    const std::string& bytes = harm.way == DamageWay::kDelete ? kGone : damaged[harm.file].second;
    const arrow::Status opened = checker_->CheckContent(&fs, PromiseAfter(harm, bytes),
                                                        Survives::kProcessEnd, /*go_on=*/false);
    JudgeOutcome(harm, bytes, *verified, opened);
    Keep(damaged);
  }

  void JudgeOutcome(const Harm& harm, const std::string& damaged, const VerifyReport& report,
                    const arrow::Status& opened) {
    const std::string& path = life_.files[harm.file].first;
    // Of two files that contradict each other, one is the finding's and the other in its words.
    // A whole file of an earlier day, and a manifest that ends early, are seen by what is missing
    // then; so is a part of another database's, if both had the same records up to there.
    const std::string name = path.substr(path.rfind('/') + 1);
    const bool by_what_is_missing = (harm.earlier && harm.way == DamageWay::kReplace) ||
                                    (!life_.closed && KindOf(path) == "MANIFEST") ||
                                    (harm.foreign && KindOf(path) == "MANIFEST");
    const bool named =
        by_what_is_missing || std::ranges::any_of(report.findings, [&](const Finding& finding) {
          return finding.is_damage() &&
                 (finding.file == path || finding.what.find(name) != std::string::npos);
        });
    if (report.ok()) {
      EXPECT_TRUE(opened.ok()) << "verify finds it sound, but: " << opened.ToString();
      ++unseen_;
      EXPECT_TRUE(MayBeUnseen(harm)) << "it is not seen";
      return;
    }
    EXPECT_TRUE(named) << "verify names others: " << report.ToText();
    if (named && !by_what_is_missing) ExpectPlace(harm, damaged, report);
    // A compaction that met the damage stops the writes of whoever closes, which says why.
    const bool stopped =
        IsReadOnly(opened) && opened.message().find("corruption in") != std::string::npos;
    EXPECT_TRUE(opened.ok() || IsCorruption(opened) || IsIncompatibleFormat(opened) || stopped)
        << opened.ToString() << "\n"
        << report.ToText();
  }

  /// Of a closed database every byte counts. One whose process died may have files that nothing
  /// names any more or yet, and its log and manifest end where what was read last is sound.
  bool MayBeUnseen(const Harm& harm) const {
    const std::string& path = life_.files[harm.file].first;
    if (KindOf(path) == "MANIFEST" && harm.way == DamageWay::kDuplicateTail) return true;
    if (life_.closed) return false;
    if (KindOf(path) == "CURRENT") return harm.earlier && harm.way == DamageWay::kReplace;
    return KindOf(path) != "sst" || life_.strays.contains(path);
  }

  /// Where bytes of a file were changed, a finding about it begins there: in the log or a manifest
  /// with the record, in an SSTable in the same page, but for the tail, which is seen as a whole.
  void ExpectPlace(const Harm& harm, const std::string& damaged, const VerifyReport& report) const {
    const auto& [path, bytes] = life_.files[harm.file];
    if (damaged.size() != bytes.size()) return;
    constexpr int64_t kPage = 16'384;
    auto [from, to] = Changed(bytes, damaged);
    int64_t lowest = 0;
    if (KindOf(path) == "sst") {
      const int64_t tail = SectionIn(bytes, "page_checksums").first;
      lowest = to > tail ? 0 : from / kPage * kPage;
    } else if (KindOf(path) != "CURRENT") {
      for (const int64_t record : RecordsOf(bytes)) lowest = record <= from ? record : lowest;
      // Behind a bad header no record is found, and the first is missed.
      if (from < kLogHeaderBytes) to = std::max(to, kLogHeaderBytes + 1);
    }
    bool about_it = false;
    for (const Finding& finding : report.findings) {
      if (!finding.is_damage() || finding.file != path) continue;
      about_it = true;
      if (finding.offset >= lowest && finding.offset < to) return;
    }
    EXPECT_FALSE(about_it) << "verify names another place than " << from << " to " << to << ": "
                           << report.ToText();
  }

  /// Leaves the damaged files behind if they were taken badly.
  void Keep(const FileBytes& damaged) const {
    if (!HasFailure()) return;
    const auto kept = std::filesystem::path(testing::TempDir()) /
                      ("marble_damage_" + std::to_string(SeedOfThisRun()));
    KeepFiles(damaged, kept);
    ADD_FAILURE() << "the damaged files are in " << kept;
  }

  std::unique_ptr<CrashSetting> setting_;
  std::unique_ptr<CrashChecker> checker_;
  Life life_;
  int64_t damages_ = 0;
  std::set<std::pair<std::string, DamageWay>> pairs_;  // of a kind of file and a way, that were met
  int64_t unseen_ = 0;  // of bytes that mean nothing, or of the end of the log
};

TEST_P(DamageTest, GivesNobodyAWrongRowAndIsNamed) {
  const auto start = std::chrono::steady_clock::now();
  const int64_t wanted = ShareFromEnvironment("MARBLE_DAMAGES", kDamages, std::size(kScripts));
  for (uint64_t life = 0; damages_ < wanted && !HasFailure(); ++life) {
    const uint64_t seed = Mix(SeedOfThisRun() + life * std::size(kScripts) + GetParam());
    ASSERT_NO_FATAL_FAILURE(Live(seed));
    checker_ = std::make_unique<CrashChecker>(*setting_);
    Random random(~seed);
    for (int64_t i = 0; i < kDamagesPerLife && damages_ < wanted && !HasFailure(); ++i) {
      const Harm harm = Choose(i, &random);
      SCOPED_TRACE("MARBLE_SEED=" + std::to_string(SeedOfThisRun()) + ", '" + Words() +
                   "' with seed " + std::to_string(seed) +
                   (life_.closed ? ", closed, " : ", died, ") + harm.words);
      Check(harm);
    }
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::cout << "'" << Words() << "': " << damages_ << " damages in " << time.count() << " s, "
            << unseen_ << " of them of what means nothing or has nothing behind it, "
            << pairs_.size() << " pairs of file and way, MARBLE_SEED=" << SeedOfThisRun()
            << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Scripts, DamageTest, testing::Range<size_t>(0, std::size(kScripts)));

}  // namespace
}  // namespace marble::test

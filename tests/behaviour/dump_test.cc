// Dumps of every kind of file: what they show, in text and JSON, and of damaged ones what can be
// read.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <utility>

#include <marble/dump.h>

#include "support/damage.h"
#include "support/golden_content.h"
#include "support/random.h"
#include "support/test_database.h"

namespace marble {
namespace {

using test::FileBytes;

class DumpTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(files_, test::MakeGoldenDatabase());
    test::WriteTree(files_, &fs_);
  }
  Dump Of(const std::string& path, bool json = false, bool rows = false) {
    DumpOptions options;
    options.file_system = &fs_;
    options.json = json;
    options.rows = rows;
    auto dump = DumpFile(path, options);
    EXPECT_TRUE(dump.ok()) << dump.status().ToString();
    return dump.ok() ? *dump : Dump();
  }
  std::vector<std::string> Paths(const std::string& part) const {
    std::vector<std::string> paths;
    for (const auto& [path, bytes] : files_) {
      if (path.find(part) != std::string::npos) paths.push_back(path);
    }
    return paths;
  }
  std::string All(const std::string& part, bool json = false, bool rows = false) {
    std::string text;
    for (const std::string& path : Paths(part)) {
      const Dump dump = Of(path, json, rows);
      EXPECT_TRUE(dump.status.ok()) << dump.status.ToString();
      text += dump.text;
    }
    return text;
  }

  MemoryFileSystem fs_;
  FileBytes files_;
};

#define EXPECT_HAS(text, part) \
  EXPECT_NE((text).find(part), std::string::npos) << (part) << " in\n" << (text).substr(0, 4000)

TEST_F(DumpTest, ManifestShowsTablesAndFiles) {
  const std::string text = All("MANIFEST");
  EXPECT_HAS(text, "kind: manifest");
  EXPECT_HAS(text, "name: keyed_zstd");
  EXPECT_HAS(text, "primary_key: region, name");
  EXPECT_HAS(text, "smallest=(region=-3, name=");
  EXPECT_HAS(text, "flushed_sequence: ");
}

TEST_F(DumpTest, LogShowsOperationsWithTheirKeys) {
  const std::string text = All("/wal/", /*json=*/false, /*rows=*/true);
  EXPECT_HAS(text, "kind: log segment");
  EXPECT_HAS(text, "operation=put  table=1  key=(key=logged)  value_bytes=3");
  EXPECT_HAS(text, "operation=delete  table=1  key=(key=key10005)");
  EXPECT_HAS(text, "operation=delete range  table=1  begin=(key=key10200)  end=(key=key10210)");
  EXPECT_HAS(text, "operation: create table");
  EXPECT_HAS(text, "operation: attach");
}

TEST_F(DumpTest, SstablesShowSectionsBlocksZonesTombstonesAndRows) {
  const std::string text = All("/sst/", /*json=*/false, /*rows=*/true);
  EXPECT_HAS(text, "name=page_checksums");
  EXPECT_HAS(text, "table_name: keyed_lz4");
  EXPECT_HAS(text, "column=region  min=-3  max=");
  EXPECT_HAS(text, "_kind=delete  key=(region=");
  EXPECT_HAS(text, "begin=(key=key10100)  end=(key=key10150)");
  EXPECT_HAS(text, "key=key10042  value=");
  EXPECT_EQ(All("/sst/").find("value=first"), std::string::npos);  // rows only when asked for
}

TEST_F(DumpTest, CurrentIsDumpedAndOtherFilesAreRefused) {
  EXPECT_HAS(All("/CURRENT"), "closed_properly: false");
  test::WriteTree({{"/db/notes.txt", "mine"}}, &fs_);
  DumpOptions options;
  options.file_system = &fs_;
  EXPECT_FAILS_WITH("notes.txt", DumpFile("/db/notes.txt", options));
}

TEST_F(DumpTest, OfADamagedLogWhatCanBeReadIsShown) {
  std::string path;
  for (const auto& [name, bytes] : files_) {
    const size_t at = name.ends_with(".wal") ? bytes.find("logged") : std::string::npos;
    if (at == std::string::npos || !path.empty()) continue;
    path = name;
    ASSERT_OK(fs_.Damage(path, static_cast<int64_t>(at), 1));
  }
  ASSERT_NE(path, "");
  const Dump dump = Of(path);
  EXPECT_TRUE(IsCorruption(dump.status)) << dump.status.ToString();
  ASSERT_NE(DetailOf(dump.status), nullptr);
  EXPECT_EQ(DetailOf(dump.status)->file(), path);
  EXPECT_GE(DetailOf(dump.status)->offset(), 64);
  EXPECT_HAS(dump.text, "key10005");
  EXPECT_HAS(dump.text, "damage: ");
}

/// Calls `between` once, after a large read.
class InterruptedFileSystem : public MemoryFileSystem {
 public:
  std::function<void()> between;

  arrow::Result<std::shared_ptr<ReadableFile>> OpenReadable(const std::string& path) override {
    ARROW_ASSIGN_OR_RAISE(auto file, MemoryFileSystem::OpenReadable(path));
    return std::make_shared<File>(std::move(file), &between);
  }

 private:
  class File : public ReadableFile {
   public:
    File(std::shared_ptr<ReadableFile> file, std::function<void()>* between)
        : file_(std::move(file)), between_(between) {}
    int64_t size() const override { return file_->size(); }
    arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t offset, int64_t length) override {
      auto bytes = file_->Read(offset, length);
      if (length >= 1 << 20 && *between_) std::exchange(*between_, nullptr)();
      return bytes;
    }
    arrow::Status ReadInto(int64_t offset, int64_t length, void* out) override {
      return file_->ReadInto(offset, length, out);
    }
    arrow::Result<std::shared_ptr<arrow::Buffer>> Map() override { return file_->Map(); }

   private:
    const std::shared_ptr<ReadableFile> file_;
    std::function<void()>* const between_;
  };
};

TEST(DumpOfALiveLog, WhatIsWrittenMeanwhileIsNoDamageAndIsShown) {
  InterruptedFileSystem fs;
  Options database_options;
  database_options.file_system = &fs;
  ASSERT_OK_AND_ASSIGN(const auto db, Database::Open("/db", database_options));
  ASSERT_OK_AND_ASSIGN(const auto kv, KeyValue::Open(db));
  const auto put = [&kv](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      ASSERT_OK(kv->Put("key" + std::to_string(i), std::string(10000, 'v')));
    }
  };
  put(0, 10);
  fs.between = [&put] { put(10, 310); };  // three of the pieces that it is read in
  ASSERT_OK_AND_ASSIGN(const auto segments, fs.List("/db/wal"));
  const auto segment = std::ranges::find_if(
      segments, [](const DirectoryEntry& file) { return !file.name.starts_with("spare"); });
  ASSERT_NE(segment, segments.end());
  DumpOptions options;
  options.file_system = &fs;
  ASSERT_OK_AND_ASSIGN(const Dump dump, DumpFile("/db/wal/" + segment->name, options));
  ASSERT_FALSE(fs.between);
  ASSERT_OK(dump.status);
  EXPECT_HAS(dump.text, "(key=key0)");
  EXPECT_HAS(dump.text, "(key=key150)");
  EXPECT_HAS(dump.text, "(key=key309)");
}

TEST_F(DumpTest, HostileBytesGiveAnErrorAndNoCrash) {
  test::Random random(20261128);
  for (const auto& [path, bytes] : files_) {
    for (int round = 0; round < 8; ++round) {
      std::string damaged = bytes;
      for (int i = 0; i < 1 + round * 4; ++i) {
        damaged[random.Uniform(damaged.size())] = static_cast<char>(random.Next());
      }
      if (round % 4 == 3) damaged.resize(random.Uniform(damaged.size()));
      MemoryFileSystem fs;
      test::WriteTree({{"/db/CURRENT", ""}}, &fs);
      if (path != "/db/CURRENT") test::WriteTree({{path, damaged}}, &fs);
      DumpOptions options;
      options.file_system = &fs;
      options.json = true;
      options.rows = true;
      const auto dump = DumpFile(path, options);
      if (dump.ok() && !dump->status.ok()) {
        EXPECT_HAS(dump->text, "\"damage\"");
      }
    }
  }
}

}  // namespace
}  // namespace marble

// Random operations against a database and an oracle at once; the first difference is an error that
// names seed, step and operation.
//
// The oracle is one std::map a table. Snapshots, readers and iterators that are held across
// flushes, compactions and reopening keep a copy of what they must show. One thread.
//
// On a disk whose operations fail now and then, an error ends a step, not the run: what it may have
// left is what docs/guarantees.md says (model_faults.cc).
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include <marble/database.h>
#include <marble/key_value.h>
#include <marble/table.h>

#include "support/model_rows.h"
#include "support/random.h"

namespace marble::test {

struct ModelConfig {
  std::string name;
  Options options;
  TableOptions table;         // primary_key is set for each table
  bool in_memory = false;     // on a file system in memory
  bool binary_keys = false;   // of the key-value table; else utf8
  uint64_t key_count = 3000;  // keys in play in each table
  uint64_t bulk_rows = 600;   // of a batch that is meant to exceed the memtable; 0: none
  /// The database's disk, if its operations are to fail, and one in how many steps has a fault.
  MemoryFileSystem* faulty_disk = nullptr;
  uint64_t steps_per_fault = 0;
};
/// In failures, instead of its bytes.
void PrintTo(const ModelConfig& config, std::ostream* out);

/// What all tables hold.
struct ModelState {
  std::array<ModelRows, kShapeCount> keyed;  // kAppend's place stays empty
  std::vector<ModelRow> appended;
};

/// What became of the faults of a run.
struct ModelFaults {
  int64_t armed = 0;
  int64_t steps_failed = 0;
  int64_t writes_ended = 0;  // until the database was opened again
  int64_t commits_kept = 0;  // that had failed, and were there then
};

class ModelRunner {
 public:
  ModelRunner(ModelConfig config, std::string path, uint64_t seed)
      : config_(std::move(config)), path_(std::move(path)), seed_(seed), random_(seed) {}

  /// Opens a new database in `path`, runs the operations, and compares everything at the end.
  arrow::Status Run(int64_t operations);
  /// Compacts, writes what each table holds as `<path>.expected/<table>.arrow`, and closes: so that
  /// tools/check_sstables.py can compare the SSTables with it.
  arrow::Status CloseForInspection();
  const ModelFaults& faults() const { return faults_; }

 private:
  struct ModelTable {
    Shape shape;
    std::string name;
    std::shared_ptr<arrow::Schema> schema;
    std::shared_ptr<Table> table;
  };
  struct HeldSnapshot {
    std::shared_ptr<const Snapshot> snapshot;
    ModelState state;
  };
  struct HeldReader {
    std::shared_ptr<arrow::RecordBatchReader> reader;
    std::shared_ptr<arrow::RecordBatch> expected;
    std::string what;
  };
  struct HeldIterator {
    std::unique_ptr<Iterator> iterator;
    std::vector<ModelRow> rows;
  };
  /// The moment a read looks at: now, or that of a held snapshot.
  struct Moment {
    std::shared_ptr<const Snapshot> snapshot;
    const ModelState* state;
  };
  /// A scan's options, beside what it must return.
  struct ModelScan {
    ScanOptions options;
    std::vector<ModelRow> rows;
    std::shared_ptr<arrow::Schema> schema;
    std::string what;
  };
  struct Step {
    int weight;
    const char* name;
    arrow::Status (ModelRunner::*run)();
  };
  static const std::vector<Step>& Steps();

  // Choices.
  const ModelTable& RandomTable() { return tables_[random_.Uniform(kShapeCount)]; }
  const ModelTable& RandomKeyedTable() { return tables_[random_.Uniform(kShapeCount - 1)]; }
  const ModelTable& TableOf(Shape shape) const { return tables_[static_cast<int>(shape)]; }
  ModelKey RandomKey(Shape shape);
  ModelRow RandomRow(Shape shape);
  std::vector<ModelRow> RandomRows(Shape shape, uint64_t count);
  ModelRange RandomRange(Shape shape, const ModelRows& rows, bool narrow);
  Moment RandomMoment();
  WriteOptions RandomWriteOptions();

  // Writes: model_writes.cc.
  arrow::Status Put();
  arrow::Status PutMany();
  arrow::Status DeleteOne();
  arrow::Status DeletePairs();
  arrow::Status InsertRows();
  arrow::Status InsertBatches();
  arrow::Status InsertBulk();
  arrow::Status DeleteRows();
  arrow::Status DeleteRangeOfRows();
  arrow::Status WriteAcrossTables();
  arrow::Status RefusedWrites();
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> KeysBatch(const ModelTable& table,
                                                               std::span<const ModelRow> rows);
  /// After a commit: `change` of the oracle's state if it was accepted, and else maybe later.
  template <typename Change>
  arrow::Status Settle(const arrow::Status& status, Change change) {
    if (status.ok()) {
      change(&state_);
    } else {
      failed_commit_ = std::move(change);
    }
    return status;
  }
  arrow::Status AddRandomOperation(WriteBatch* batch, ModelState* state);

  // Reads: model_reads.cc.
  arrow::Status Get();
  arrow::Status MultiGet();
  arrow::Status GetRows();
  arrow::Status Scan();
  arrow::Status Count();
  arrow::Status WalkIterator();
  arrow::Status HoldReader();
  arrow::Status HoldIterator();
  arrow::Status DrainHeld();
  ModelScan RandomScan(const ModelTable& table, const Moment& moment);
  arrow::Status CheckReader(arrow::RecordBatchReader* reader,
                            const std::shared_ptr<arrow::RecordBatch>& expected,
                            const std::string& what);
  arrow::Status CheckWalk(Iterator* iterator, const std::vector<ModelRow>& rows, int moves);
  arrow::Status CheckTable(const ModelTable& table, const Moment& moment, bool reverse);
  arrow::Status CheckAll();

  // The database's life: model_runner.cc.
  arrow::Status Open();
  arrow::Status Reopen();
  arrow::Status Flush();
  arrow::Status Compact();
  arrow::Status TakeSnapshot();
  arrow::Status CheckSnapshot();
  arrow::Status DropSnapshot();
  arrow::Status RecreateAppendTable();

  // Faults: model_faults.cc.
  void ArmFault();
  arrow::Status GoOnAfter(const arrow::Status& error);
  arrow::Result<bool> WritesHaveEnded();
  arrow::Status ExpectStateBeforeOrAfter();
  arrow::Status OpenAfterFault();

  ModelConfig config_;
  std::string path_;
  uint64_t seed_;
  Random random_;
  std::shared_ptr<Database> database_;
  std::shared_ptr<KeyValue> pairs_;
  std::vector<ModelTable> tables_;
  ModelState state_;
  std::vector<HeldSnapshot> snapshots_;
  std::vector<HeldReader> readers_;
  std::vector<HeldIterator> iterators_;
  int64_t next_event_ = 0;
  std::function<void(ModelState*)> failed_commit_;  // that may be there; null: none
  bool writes_may_end_ = false;  // for a fault since it was last seen that they had not
  ModelFaults faults_;
};

/// Returns an error with the message if the condition is false.
#define MODEL_CHECK(condition, ...)                            \
  do {                                                         \
    if (!(condition)) [[unlikely]] {                           \
      return arrow::Status::Invalid("differs: ", __VA_ARGS__); \
    }                                                          \
  } while (false)

/// A row's key, readable.
std::string Describe(const ModelKey& key);

}  // namespace marble::test

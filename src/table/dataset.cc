// The Arrow dataset over a table: a fragment is a range of keys, its scan one of ours. All objects
// are immutable but for the list of fragments, which is made once.
//
// Whoever scans a fragment must apply the filter again, as Arrow's contract has it and its Scanner
// does; terms that a scan of the table cannot decide (columns of a replaced schema) are left to it.
#include <marble/dataset.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arrow/compute/expression.h>
#include <arrow/dataset/dataset.h>
#include <arrow/dataset/projector.h>
#include <arrow/dataset/scanner.h>
#include <arrow/util/iterator.h>
#include <arrow/util/thread_pool.h>

#include "base/mutex.h"
#include "db/core.h"
#include "row/conjuncts.h"
#include "table/batch_stream.h"
#include "table/exposed_schema.h"
#include "table/key_bounds.h"
#include "table/scan.h"
#include "table/split_keys.h"

namespace marble {
namespace {

namespace compute = arrow::compute;
namespace dataset = arrow::dataset;
using compute::Expression;

// Four batches of the usual size: small enough for two threads to share a million rows.
constexpr int64_t kFragmentRows = 512 * 1024;

/// What all fragments of a dataset read. Immutable.
struct Moment {
  std::shared_ptr<Table> table;
  /// Kept by `table`. Fragments of a scan in progress go on with it after Database::Close.
  std::shared_ptr<DatabaseCore> core;
  std::shared_ptr<const Snapshot> snapshot;
  std::shared_ptr<const TableState> state;
  /// The table as datasets show it.
  std::shared_ptr<const TableState> shown;

  const std::shared_ptr<arrow::Schema>& schema() const { return shown->schema->user_schema(); }
  /// Closed after Database::Close.
  arrow::Status CheckOpen() const { return table->database()->core().status(); }
  arrow::Result<ReadPoint> BeginRead() const {
    auto point = core->BeginRead(*state, snapshot.get());
    if (point.ok() || !IsOutdated(*state, point.status())) return point;
    return ConflictError("the schema of table '" + state->info.name +
                         "' was changed since this dataset was made: make another one");
  }
};

/// Can a scan of `schema` decide a term that was written for `dataset_schema`, and the scanner
/// above it decide the same again?
bool CanDecide(const Expression& term, const arrow::Schema& dataset_schema,
               const arrow::Schema& schema) {
  if (!term.IsScalarExpression()) return false;
  const bool same = dataset_schema.Equals(schema, /*check_metadata=*/false);
  for (const arrow::FieldRef& ref : compute::FieldsInExpression(term)) {
    if (!same && !ref.IsName()) return false;
    const auto found = ref.FindOneOrNone(schema);
    if (!found.ok() || found->empty()) return false;
  }
  const auto bound = term.Bind(schema);
  return bound.ok() && bound->type()->id() == arrow::Type::BOOL && IsPure(*bound);
}

/// The part of `filter` that a scan of `schema` can decide.
Expression DecidedFilter(const Expression& filter, const arrow::Schema& dataset_schema,
                         const arrow::Schema& schema) {
  std::vector<Expression> terms = Conjuncts(AsConjunction(filter));
  std::erase_if(terms,
                [&](const Expression& term) { return !CanDecide(term, dataset_schema, schema); });
  return compute::and_(terms);
}

/// Names of the table's columns that the scan's projection and filter need, in the table's order.
arrow::Result<std::vector<std::string>> ColumnsNeeded(const dataset::ScanOptions& options,
                                                      const arrow::Schema& schema) {
  std::vector<int> columns;
  for (const arrow::FieldRef& ref : options.MaterializedFields()) {
    // What is not found is one of the scanner's own fields, such as __batch_index.
    ARROW_ASSIGN_OR_RAISE(const auto path, ref.FindOneOrNone(*options.dataset_schema));
    if (path.empty()) continue;
    const std::string& name = options.dataset_schema->field(path.indices()[0])->name();
    const int column = schema.GetFieldIndex(name);
    if (column >= 0) columns.push_back(column);
  }
  std::ranges::sort(columns);
  columns.erase(std::ranges::unique(columns).begin(), columns.end());
  std::vector<std::string> names;
  for (int column : columns) names.push_back(schema.field(column)->name());
  return names;
}

arrow::internal::Executor* ExecutorOf(const dataset::ScanOptions& options) {
  return options.cpu_executor != nullptr ? options.cpu_executor
                                         : arrow::internal::GetCpuThreadPool();
}

class TableFragment final : public dataset::Fragment {
 public:
  /// Guarantees nothing of its keys: Arrow compares the literals of filters and projections with
  /// those of a guarantee, and fails where it cannot (times with a set of texts, say).
  TableFragment(std::shared_ptr<const Moment> moment, EncodedRange range)
      : Fragment(compute::literal(true), moment->schema()),
        moment_(std::move(moment)),
        range_(std::move(range)) {}

  const EncodedRange& range() const { return range_; }

  arrow::Result<dataset::RecordBatchGenerator> ScanBatchesAsync(
      const std::shared_ptr<dataset::ScanOptions>& options) override {
    ScanOptions scan;
    ARROW_ASSIGN_OR_RAISE(scan.columns, ColumnsNeeded(*options, *moment_->schema()));
    scan.filter = DecidedFilter(options->filter, *options->dataset_schema, *moment_->schema());
    scan.batch_rows_max = std::max<int64_t>(options->batch_size, 1);
    ARROW_ASSIGN_OR_RAISE(ScanPlan plan, Plan(scan));
    if (plan.filter != nullptr) {
      auto filter = std::make_shared<ScanFilter>(*plan.filter);
      filter->is_applied_again = true;
      plan.filter = std::move(filter);
    }
    auto open =
        [moment = moment_,
         plan = std::move(plan)]() -> arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> {
      ARROW_ASSIGN_OR_RAISE(ReadPoint point, moment->BeginRead());
      return OpenScan(moment->core, std::move(point), plan, moment->snapshot);
    };
    if (!options->use_threads) return ReadWhenCalled(std::move(open));
    return ReadOnExecutor(std::move(open), ExecutorOf(*options), options->batch_readahead);
  }

  arrow::Future<std::optional<int64_t>> CountRows(
      Expression predicate, const std::shared_ptr<dataset::ScanOptions>& options) override {
    using Count = std::optional<int64_t>;
    if (!CanDecide(predicate, *options->dataset_schema, *moment_->schema())) {
      return arrow::Future<Count>::MakeFinished(std::nullopt);
    }
    auto count = [moment = moment_, predicate = std::move(predicate), self = shared_from_this(),
                  this]() -> arrow::Result<Count> {
      ScanOptions scan;
      scan.columns = std::vector<std::string>();
      scan.filter = predicate;
      ARROW_ASSIGN_OR_RAISE(ScanPlan plan, Plan(scan));
      ARROW_ASSIGN_OR_RAISE(const ReadPoint point, moment->BeginRead());
      ARROW_ASSIGN_OR_RAISE(const int64_t rows, CountScan(*moment->core, point, std::move(plan)));
      return rows;
    };
    if (!options->use_threads) return arrow::Future<Count>::MakeFinished(count());
    return arrow::DeferNotOk(ExecutorOf(*options)->Submit(std::move(count)));
  }

  std::string type_name() const override { return "marble"; }
  std::string ToString() const override {
    return "a part of table '" + moment_->shown->info.name + "'";
  }

 protected:
  arrow::Result<std::shared_ptr<arrow::Schema>> ReadPhysicalSchemaImpl() override {
    return moment_->schema();
  }

 private:
  arrow::Result<ScanPlan> Plan(const ScanOptions& scan) const {
    ARROW_ASSIGN_OR_RAISE(ScanPlan plan, PlanScan(*moment_->shown, scan));
    plan.range = Intersection(plan.range, range_);
    return plan;
  }

  const std::shared_ptr<const Moment> moment_;
  const EncodedRange range_;
};

using TableFragments = std::vector<std::shared_ptr<TableFragment>>;

/// The fragments of a moment. They stay the same, because a scanner asks for them twice and counts
/// on it. Thread-safe.
class FragmentList {
 public:
  explicit FragmentList(std::shared_ptr<const Moment> moment) : moment_(std::move(moment)) {}

  const std::shared_ptr<const Moment>& moment() const { return moment_; }

  arrow::Result<TableFragments> Get() {
    ARROW_RETURN_NOT_OK(moment_->CheckOpen());
    MutexLock lock(&mutex_);
    if (fragments_.empty()) ARROW_RETURN_NOT_OK(Make());
    return fragments_;
  }

 private:
  arrow::Status Make() MARBLE_REQUIRES(mutex_) {
    ARROW_ASSIGN_OR_RAISE(const ReadPoint point, moment_->BeginRead());
    ARROW_ASSIGN_OR_RAISE(auto keys, SplitKeys(*point.view, kFragmentRows));
    EncodedRange range;
    for (std::string& key : keys) {
      range.upper = key;
      Add(range);
      range.lower = std::move(key);
    }
    range.upper.reset();
    Add(range);
    return arrow::Status::OK();
  }

  void Add(const EncodedRange& range) MARBLE_REQUIRES(mutex_) {
    fragments_.push_back(std::make_shared<TableFragment>(moment_, range));
  }

  const std::shared_ptr<const Moment> moment_;
  Mutex mutex_;
  TableFragments fragments_ MARBLE_GUARDED_BY(mutex_);
};

class TableDataset final : public dataset::Dataset {
 public:
  TableDataset(std::shared_ptr<arrow::Schema> schema, std::shared_ptr<FragmentList> fragments)
      : Dataset(std::move(schema), compute::literal(true)), fragments_(std::move(fragments)) {}

  std::string type_name() const override { return "marble"; }

  arrow::Result<std::shared_ptr<Dataset>> ReplaceSchema(
      std::shared_ptr<arrow::Schema> schema) const override {
    ARROW_RETURN_NOT_OK(dataset::CheckProjectable(*schema_, *schema));
    return std::make_shared<TableDataset>(std::move(schema), fragments_);
  }

 protected:
  arrow::Result<dataset::FragmentIterator> GetFragmentsImpl(Expression predicate) override {
    ARROW_ASSIGN_OR_RAISE(const TableFragments fragments, fragments_->Get());
    const StoredSchema& shown = *fragments_->moment()->shown->schema;
    EncodedRange wanted;
    const auto filter =
        DecidedFilter(predicate, *schema_, *shown.user_schema()).Bind(*shown.user_schema());
    if (filter.ok()) wanted = KeyBoundsOf(*filter, shown);
    dataset::FragmentVector chosen;
    for (const auto& fragment : fragments) {
      if (!Intersection(fragment->range(), wanted).IsEmpty()) chosen.push_back(fragment);
    }
    return arrow::MakeVectorIterator(std::move(chosen));
  }

 private:
  const std::shared_ptr<FragmentList> fragments_;
};

}  // namespace

arrow::Result<std::shared_ptr<dataset::Dataset>> MakeDataset(
    std::shared_ptr<Table> table, std::shared_ptr<const Snapshot> snapshot,
    const DatasetOptions& options) {
  if (table == nullptr) return arrow::Status::Invalid("a dataset needs a table, not null");
  ARROW_ASSIGN_OR_RAISE(const auto core, table->database()->core());
  if (snapshot == nullptr) {
    ARROW_ASSIGN_OR_RAISE(snapshot, core->TakeSnapshot());
  }
  auto moment = std::make_shared<Moment>();
  moment->state = table->state();
  ARROW_RETURN_NOT_OK(core->BeginRead(*moment->state, snapshot.get()).status());
  ARROW_ASSIGN_OR_RAISE(const auto dictionary_columns,
                        ResolveColumns(*moment->state, options.dictionary_columns));
  ARROW_ASSIGN_OR_RAISE(
      auto schema,
      InTable(moment->state->info.name, ExposedSchema(*moment->state->schema, dictionary_columns)));
  moment->shown = std::make_shared<const TableState>(moment->state->info, std::move(schema));
  // Through the table's pointer: whoever guards that one guards all.
  moment->core = std::shared_ptr<DatabaseCore>(table, core.get());
  moment->table = std::move(table);
  moment->snapshot = std::move(snapshot);
  auto shown_schema = moment->schema();
  return std::make_shared<TableDataset>(std::move(shown_schema),
                                        std::make_shared<FragmentList>(std::move(moment)));
}

}  // namespace marble

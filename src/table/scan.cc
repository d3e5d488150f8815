#include "table/scan.h"

#include <algorithm>
#include <new>
#include <utility>

#include <arrow/array.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/expression.h>
#include <arrow/scalar.h>

#include "row/batch_ops.h"
#include "row/compute.h"
#include "row/conjuncts.h"
#include "table/key_bounds.h"
#include "tree/row_count.h"

namespace marble {
namespace {

namespace compute = arrow::compute;

// With a limit the first batches are no larger than it, and double from there.
constexpr int64_t kLimitedBatchRowsMin = 64;

bool KeepsEveryRow(const compute::Expression& filter) {
  const arrow::Datum* literal = filter.literal();
  if (literal == nullptr || !literal->is_scalar()) return false;
  const arrow::Scalar& scalar = *literal->scalar();
  return scalar.type->id() == arrow::Type::BOOL && scalar.is_valid &&
         static_cast<const arrow::BooleanScalar&>(scalar).value;
}

arrow::Status UnknownColumn(const TableState& table, const std::string& column) {
  return arrow::Status::Invalid("table '", table.info.name, "' has no column '", column, "'");
}

// Position of `column` in `columns`, added at the end if it is not there.
int PositionOf(int column, std::vector<int>* columns) {
  const auto found = std::find(columns->begin(), columns->end(), column);
  if (found != columns->end()) return static_cast<int>(found - columns->begin());
  columns->push_back(column);
  return static_cast<int>(columns->size() - 1);
}

// The stored fields of some columns of the table.
std::shared_ptr<arrow::Schema> StoredFields(const ScanPlan& plan, const std::vector<int>& columns) {
  arrow::FieldVector fields;
  for (int column : columns) fields.push_back(plan.schema->stored_schema()->field(column));
  return arrow::schema(std::move(fields));
}

// large_utf8 and large_binary for views, nullptr for other types.
std::shared_ptr<arrow::DataType> TypeOfViewed(const arrow::DataType& type) {
  if (type.id() == arrow::Type::STRING_VIEW) return arrow::large_utf8();
  return type.id() == arrow::Type::BINARY_VIEW ? arrow::large_binary() : nullptr;
}

// Arrow compares no views: the filter with its view columns and values cast to strings.
arrow::Result<compute::Expression> WithoutViews(const compute::Expression& filter,
                                                const arrow::Schema& schema) {
  if (const arrow::Datum* literal = filter.literal()) {
    const auto type = literal->is_scalar() ? TypeOfViewed(*literal->type()) : nullptr;
    if (type == nullptr) return filter;
    ARROW_ASSIGN_OR_RAISE(arrow::Datum cast, compute::Cast(*literal, type));
    return compute::literal(std::move(cast));
  }
  if (const arrow::FieldRef* ref = filter.field_ref()) {
    ARROW_ASSIGN_OR_RAISE(const auto field, ref->GetOneOrNone(schema));
    const auto type = field != nullptr ? TypeOfViewed(*field->type()) : nullptr;
    if (type == nullptr) return filter;
    return compute::call("cast", {filter}, compute::CastOptions::Safe(type));
  }
  const compute::Expression::Call* call = filter.call();
  const bool asks_for_null = call->function_name == "is_null" || call->function_name == "is_valid";
  if (asks_for_null && call->arguments[0].field_ref() != nullptr) return filter;
  std::vector<compute::Expression> arguments;
  bool changed = false;
  for (const compute::Expression& argument : call->arguments) {
    ARROW_ASSIGN_OR_RAISE(auto without, WithoutViews(argument, schema));
    changed = changed || !without.Equals(argument);
    arguments.push_back(std::move(without));
  }
  if (!changed) return filter;
  return compute::call(call->function_name, std::move(arguments), call->options);
}

// Finds the columns that the filter names, and binds it to the table's schema (references may be by
// position).
arrow::Status PlanFilter(const TableState& table, const compute::Expression& wanted,
                         ScanPlan* plan) {
  if (KeepsEveryRow(wanted)) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(InitializeCompute());
  const arrow::Schema& user_schema = *plan->schema->user_schema();
  ARROW_ASSIGN_OR_RAISE(const auto filter, WithoutViews(AsConjunction(wanted), user_schema));
  std::vector<int> filter_columns;
  for (const arrow::FieldRef& ref : compute::FieldsInExpression(filter)) {
    ARROW_ASSIGN_OR_RAISE(arrow::FieldPath path, ref.FindOneOrNone(user_schema));
    if (path.empty()) {
      return UnknownColumn(table, ref.IsName() ? *ref.name() : ref.ToDotPath());
    }
    const int column = path.indices()[0];
    PositionOf(column, &filter_columns);
    PositionOf(column, &plan->read_columns);
  }
  auto bound = filter.Bind(user_schema);
  if (!bound.ok()) {
    return bound.status().WithMessage("filter over table '", table.info.name,
                                      "': ", bound.status().message());
  }
  if (bound->type()->id() != arrow::Type::BOOL) {
    return arrow::Status::Invalid("the filter over table '", table.info.name,
                                  "' gives no boolean but ", bound->type()->ToString());
  }
  if (!bound->IsScalarExpression()) {
    return arrow::Status::Invalid("the filter over table '", table.info.name,
                                  "' does not decide row by row: ", filter.ToString());
  }
  auto made = std::make_shared<ScanFilter>();
  made->zones = ZoneFilter::Make(*plan->schema, *bound);
  ARROW_ASSIGN_OR_RAISE(
      made->rows, RowFilter::Make(plan->schema, *std::move(bound), std::move(filter_columns)));
  plan->filter = std::move(made);
  return arrow::Status::OK();
}

arrow::Status PlanRange(const TableState& table, const KeyRange& range, ScanPlan* plan) {
  if (range.lower.empty() && range.upper.empty()) return arrow::Status::OK();
  if (plan->schema->is_append()) {
    return arrow::Status::Invalid("a range of keys needs a table with a primary key, and table '",
                                  table.info.name, "' has none");
  }
  const KeyCodec& codec = *plan->schema->codec();
  const auto encode = [&](const KeyBound& bound) {
    return InTable(table.info.name, codec.EncodeBound(bound));
  };
  ARROW_ASSIGN_OR_RAISE(plan->range.lower, encode(range.lower));
  if (!range.upper.empty()) {
    ARROW_ASSIGN_OR_RAISE(plan->range.upper, encode(range.upper));
  }
  return arrow::Status::OK();
}

// The columns at `positions` of a batch that holds the read columns; zero columns keep the row
// count.
std::shared_ptr<arrow::RecordBatch> Project(const arrow::RecordBatch& batch,
                                            const std::vector<int>& positions,
                                            const std::shared_ptr<arrow::Schema>& schema) {
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  columns.reserve(positions.size());
  for (int position : positions) columns.push_back(batch.column_data(position));
  return arrow::RecordBatch::Make(schema, batch.num_rows(), std::move(columns));
}

// The rows of a batch of read columns that the scan gives.
arrow::Result<Selection> Select(const ScanPlan& plan, const RowBatch& batch) {
  const Selection all{.rows = batch.num_rows(), .count = batch.num_rows(), .bits = nullptr};
  if (plan.filter == nullptr || batch.filtered) return all;
  const RowFilter& filter = *plan.filter->rows;
  ARROW_ASSIGN_OR_RAISE(
      Selection selection,
      filter.Select(*SelectColumns(*batch.columns, plan.read_columns, filter.columns())));
  return plan.filter->MustCut(selection) ? std::move(selection) : all;
}

arrow::Result<std::unique_ptr<SortedReader>> OpenSource(const DatabaseCore& core,
                                                        const ReadPoint& point,
                                                        const ScanPlan& plan) {
  ReadRequest request;
  request.columns = plan.read_columns;
  request.range = plan.range;
  request.direction = plan.direction;
  request.snapshot = point.sequence;
  request.want_keys = false;
  // Sources may be filtered a second time behind a merge.
  if (plan.filter != nullptr && IsPure(plan.filter->rows->expression())) {
    request.filter = plan.filter;
  }
  request.helpers = core.helpers();
  int64_t batch_rows_first = 0;
  if (plan.limit >= 0) {
    batch_rows_first = std::clamp(plan.limit, std::min(kLimitedBatchRowsMin, plan.batch_rows_max),
                                  plan.batch_rows_max);
    request.batch_rows = std::min(request.batch_rows, batch_rows_first);
  }
  return ReadRange(point.view, std::move(request), plan.batch_rows_max, batch_rows_first);
}

/// Adds the rows of the plan's range to `count`, until that has reached the limit.
arrow::Status CountRead(const DatabaseCore& core, const ReadPoint& point, const ScanPlan& plan,
                        int64_t* count) {
  ARROW_ASSIGN_OR_RAISE(const auto source, OpenSource(core, point, plan));
  while (plan.limit < 0 || *count < plan.limit) {
    ARROW_ASSIGN_OR_RAISE(const auto next, source->Next());
    if (!next.has_value()) break;
    ARROW_ASSIGN_OR_RAISE(const Selection selection, Select(plan, *next));
    *count += selection.count;
  }
  return arrow::Status::OK();
}

/// Not even Arrow turns want of memory into a status everywhere.
template <typename Read>
arrow::Status WithoutBadAlloc(Read read) {
  try {
    return read();
  } catch (const std::bad_alloc&) {
    return arrow::Status::OutOfMemory("there is no memory for the next rows of a scan");
  }
}

class ScanReader final : public arrow::RecordBatchReader {
 public:
  ScanReader(std::shared_ptr<DatabaseCore> core, ScanPlan plan,
             std::unique_ptr<SortedReader> source, std::shared_ptr<const Snapshot> snapshot)
      : core_(std::move(core)),
        snapshot_(std::move(snapshot)),
        plan_(std::move(plan)),
        schema_(plan_.schema->Project(plan_.output_columns)),
        stored_schema_(StoredFields(plan_, plan_.output_columns)),
        rows_left_(plan_.limit),
        source_(std::move(source)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    out->reset();
    // What comes behind rows that could not be delivered is no result.
    if (!failed_.ok()) return failed_;
    failed_ = WithoutBadAlloc([&] { return ReadOrFail(out); });
    if (!failed_.ok()) ARROW_RETURN_NOT_OK(Close());
    return failed_;
  }

  arrow::Status Close() override {
    source_.reset();
    parts_.clear();
    return arrow::Status::OK();
  }

 private:
  arrow::Status ReadOrFail(std::shared_ptr<arrow::RecordBatch>* out) {
    while (source_ != nullptr && rows_left_ != 0) {
      ARROW_ASSIGN_OR_RAISE(const auto next, NextRows());
      if (!next.has_value()) break;
      auto produced = Produce(*next);
      if (produced.status().IsCapacityError() && next->num_rows() > 1) {
        // More words than a dictionary's indices can number, or more rows than run ends can.
        const int64_t half = next->num_rows() / 2;
        parts_.push_back(next->Slice(half, next->num_rows() - half));
        parts_.push_back(next->Slice(0, half));
        continue;
      }
      ARROW_ASSIGN_OR_RAISE(*out, std::move(produced));
      if (*out != nullptr) return arrow::Status::OK();
    }
    return Close();
  }

  arrow::Result<std::optional<RowBatch>> NextRows() {
    if (parts_.empty()) return source_->Next();
    std::optional<RowBatch> part = std::move(parts_.back());
    parts_.pop_back();
    return part;
  }

  // The rows of a batch of read columns that belong to the result; nullptr if there are none.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Produce(const RowBatch& batch) {
    ARROW_ASSIGN_OR_RAISE(const Selection selection, Select(plan_, batch));
    const int64_t rows = rows_left_ < 0 ? selection.count : std::min(selection.count, rows_left_);
    if (rows == 0) return nullptr;
    std::shared_ptr<arrow::RecordBatch> output =
        Project(*batch.columns, plan_.output_positions, stored_schema_);
    if (selection.all()) {
      if (rows < output->num_rows()) output = output->Slice(0, rows);
    } else if (plan_.output_columns.empty()) {
      output = arrow::RecordBatch::Make(stored_schema_, rows, arrow::ArrayVector{});
    } else {
      // Results belong to the caller, so they do not count against the engine's budget.
      ARROW_ASSIGN_OR_RAISE(output, Gather(stored_schema_, {&output, 1}, selection.Slices(rows),
                                           arrow::default_memory_pool()));
    }
    ARROW_ASSIGN_OR_RAISE(output, plan_.schema->ToUser(*output, plan_.output_columns, schema_));
    if (rows_left_ >= 0) rows_left_ -= rows;
    return output;
  }

  const std::shared_ptr<DatabaseCore> core_;
  const std::shared_ptr<const Snapshot> snapshot_;
  const ScanPlan plan_;
  const std::shared_ptr<arrow::Schema> schema_;
  const std::shared_ptr<arrow::Schema> stored_schema_;
  int64_t rows_left_;  // negative = no limit
  std::unique_ptr<SortedReader> source_;
  std::vector<RowBatch> parts_;  // of a batch that was too large, the next one last
  arrow::Status failed_;
};

}  // namespace

arrow::Result<std::vector<int>> ResolveColumns(
    const TableState& table, const std::optional<std::vector<std::string>>& columns) {
  const arrow::Schema& schema = *table.schema->user_schema();
  std::vector<int> indices;
  if (!columns.has_value()) {
    for (int i = 0; i < schema.num_fields(); ++i) indices.push_back(i);
    return indices;
  }
  for (const std::string& name : *columns) {
    const int index = schema.GetFieldIndex(name);
    if (index < 0) return UnknownColumn(table, name);
    indices.push_back(index);
  }
  return indices;
}

arrow::Result<ScanPlan> PlanScan(const TableState& table, const ScanOptions& options) {
  if (options.batch_rows_max <= 0) {
    return arrow::Status::Invalid("batch_rows_max of a scan is ", options.batch_rows_max,
                                  ", and must be at least 1");
  }
  ScanPlan plan;
  plan.schema = table.schema;
  plan.direction = options.reverse ? Direction::kReverse : Direction::kForward;
  plan.limit = options.limit;
  plan.batch_rows_max = options.batch_rows_max;
  ARROW_ASSIGN_OR_RAISE(plan.output_columns, ResolveColumns(table, options.columns));
  for (int column : plan.output_columns) {
    plan.output_positions.push_back(PositionOf(column, &plan.read_columns));
  }
  ARROW_RETURN_NOT_OK(PlanFilter(table, options.filter, &plan));
  ARROW_RETURN_NOT_OK(PlanRange(table, options.range, &plan));
  if (plan.filter != nullptr) {
    plan.range =
        Intersection(plan.range, KeyBoundsOf(plan.filter->rows->expression(), *plan.schema));
  }
  return plan;
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenScan(
    std::shared_ptr<DatabaseCore> core, ReadPoint point, ScanPlan plan,
    std::shared_ptr<const Snapshot> snapshot) {
  std::unique_ptr<SortedReader> source;
  if (!plan.range.IsEmpty() && plan.limit != 0) {
    ARROW_ASSIGN_OR_RAISE(source, OpenSource(*core, point, plan));
  }
  return std::make_shared<ScanReader>(std::move(core), std::move(plan), std::move(source),
                                      std::move(snapshot));
}

arrow::Result<int64_t> CountScan(const DatabaseCore& core, const ReadPoint& point, ScanPlan plan) {
  if (plan.range.IsEmpty() || plan.limit == 0) return 0;
  plan.read_columns.clear();
  if (plan.filter != nullptr) plan.read_columns = plan.filter->rows->columns();
  int64_t count = 0;
  ARROW_RETURN_NOT_OK(WithoutBadAlloc([&]() -> arrow::Status {
    // A limit is reached sooner than all files are looked at.
    if (plan.filter != nullptr || plan.limit >= 0) return CountRead(core, point, plan, &count);
    ARROW_ASSIGN_OR_RAISE(const RowCount known,
                          CountFromMetadata(*point.view, plan.range, point.sequence));
    count = known.rows;
    for (const EncodedRange& unread : known.unread) {
      plan.range = unread;
      ARROW_RETURN_NOT_OK(CountRead(core, point, plan, &count));
    }
    return arrow::Status::OK();
  }));
  return plan.limit < 0 ? count : std::min(count, plan.limit);
}

}  // namespace marble

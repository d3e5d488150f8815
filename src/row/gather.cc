// Gathering by type: finds the buffers of the sources and calls the kernels. See gather.h.
#include "row/gather.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include <arrow/array/data.h>
#include <arrow/type.h>
#include <arrow/util/checked_cast.h>

#include "base/check.h"
#include "base/early_work.h"
#include "row/gather_kernels.h"

namespace marble {

namespace {

using arrow::ArrayData;
using arrow::Buffer;
using arrow::Result;
using arrow::Status;
using arrow::Type;
using arrow::internal::checked_cast;

/// A column of one source: row r of the selection is the physical row offset + r of `data`.
struct Column {
  const ArrayData* data = nullptr;
  int64_t offset = 0;
};
using Columns = std::vector<Column>;

Result<std::shared_ptr<ArrayData>> GatherColumn(const std::shared_ptr<arrow::DataType>& type,
                                                const Columns& columns,
                                                const RowSelection& selection,
                                                arrow::MemoryPool* pool);

/// Address of a buffer's bytes; sources without rows may lack the buffer.
const uint8_t* Address(const ArrayData& data, size_t buffer) {
  return data.buffers.size() > buffer && data.buffers[buffer] != nullptr
             ? data.buffers[buffer]->data()
             : nullptr;
}

/// Rows whose bit is set in the validity of the result; nullptr and 0 nulls if no source has any.
struct Validity {
  std::shared_ptr<Buffer> bitmap;
  int64_t null_count = 0;
};

Result<Validity> GatherValidity(const Columns& columns, const RowSelection& selection,
                                arrow::MemoryPool* pool) {
  Validity validity;
  std::vector<gather_internal::BitSource> sources;
  sources.reserve(columns.size());
  bool may_have_nulls = false;
  for (const Column& column : columns) {
    const uint8_t* bits = column.data->MayHaveNulls() ? Address(*column.data, 0) : nullptr;
    may_have_nulls = may_have_nulls || bits != nullptr;
    sources.push_back({bits, column.offset});
  }
  if (!may_have_nulls) return validity;
  ARROW_ASSIGN_OR_RAISE(validity.bitmap, arrow::AllocateEmptyBitmap(selection.num_rows(), pool));
  gather_internal::GatherBits(selection, sources, validity.bitmap->mutable_data());
  validity.null_count =
      selection.num_rows() -
      arrow::internal::CountSetBits(validity.bitmap->data(), 0, selection.num_rows());
  if (validity.null_count == 0) validity.bitmap = nullptr;
  return validity;
}

Result<std::shared_ptr<Buffer>> GatherFixedValues(int64_t width, const Columns& columns,
                                                  const RowSelection& selection,
                                                  arrow::MemoryPool* pool) {
  std::vector<const uint8_t*> bases;
  bases.reserve(columns.size());
  for (const Column& column : columns) {
    const uint8_t* address = Address(*column.data, 1);
    bases.push_back(address == nullptr ? nullptr : address + column.offset * width);
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<Buffer> values,
                        arrow::AllocateBuffer(selection.num_rows() * width, pool));
  uint8_t* out = values->mutable_data();
  switch (width) {
    case 1:
      gather_internal::GatherFixed<1>(selection, bases, out);
      break;
    case 2:
      gather_internal::GatherFixed<2>(selection, bases, out);
      break;
    case 4:
      gather_internal::GatherFixed<4>(selection, bases, out);
      break;
    case 8:
      gather_internal::GatherFixed<8>(selection, bases, out);
      break;
    case 16:
      gather_internal::GatherFixed<16>(selection, bases, out);
      break;
    case 32:
      gather_internal::GatherFixed<32>(selection, bases, out);
      break;
    default:
      gather_internal::GatherFixedAnyWidth(selection, bases, width, out);
  }
  return values;
}

Result<std::shared_ptr<Buffer>> GatherBooleans(const Columns& columns,
                                               const RowSelection& selection,
                                               arrow::MemoryPool* pool) {
  std::vector<gather_internal::BitSource> sources;
  for (const Column& column : columns) {
    sources.push_back({Address(*column.data, 1), column.offset});
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<Buffer> values,
                        arrow::AllocateEmptyBitmap(selection.num_rows(), pool));
  gather_internal::GatherBits(selection, sources, values->mutable_data());
  return values;
}

/// Offsets of the result, checked to fit their type.
template <typename Offset>
Result<std::shared_ptr<Buffer>> GatherOffsetsBuffer(const std::vector<const Offset*>& bases,
                                                    const RowSelection& selection,
                                                    arrow::MemoryPool* pool, int64_t* total) {
  ARROW_ASSIGN_OR_RAISE(
      std::shared_ptr<Buffer> offsets,
      arrow::AllocateBuffer((selection.num_rows() + 1) * static_cast<int64_t>(sizeof(Offset)),
                            pool));
  const uint64_t sum = gather_internal::GatherOffsets<Offset>(
      selection, bases, reinterpret_cast<Offset*>(offsets->mutable_data()));
  if (sum > static_cast<uint64_t>(std::numeric_limits<Offset>::max())) {
    return Status::CapacityError("the column would hold ", sum,
                                 " bytes or elements, more than its offsets of ",
                                 8 * sizeof(Offset), " bits reach");
  }
  *total = static_cast<int64_t>(sum);
  return offsets;
}

template <typename Offset>
std::vector<const Offset*> OffsetBases(const Columns& columns) {
  std::vector<const Offset*> bases;
  bases.reserve(columns.size());
  for (const Column& column : columns) {
    const auto* offsets = reinterpret_cast<const Offset*>(Address(*column.data, 1));
    bases.push_back(offsets == nullptr ? nullptr : offsets + column.offset);
  }
  return bases;
}

template <typename Offset>
Result<std::shared_ptr<ArrayData>> GatherBinary(const std::shared_ptr<arrow::DataType>& type,
                                                Validity validity, const Columns& columns,
                                                const RowSelection& selection,
                                                arrow::MemoryPool* pool) {
  const std::vector<const Offset*> bases = OffsetBases<Offset>(columns);
  int64_t total = 0;
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<Buffer> offsets,
                        GatherOffsetsBuffer<Offset>(bases, selection, pool, &total));
  std::vector<gather_internal::BinarySource<Offset>> sources;
  sources.reserve(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    const uint8_t* bytes = Address(*columns[i].data, 2);
    const int64_t size = bytes == nullptr ? 0 : columns[i].data->buffers[2]->size();
    sources.push_back({bases[i], bytes, bytes + size});
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<Buffer> bytes, arrow::AllocateBuffer(total, pool));
  gather_internal::GatherBytes<Offset>(selection, sources,
                                       reinterpret_cast<const Offset*>(offsets->data()),
                                       bytes->mutable_data(), total);
  return ArrayData::Make(type, selection.num_rows(), {validity.bitmap, offsets, bytes},
                         validity.null_count);
}

/// Child rows as slices; neighbours that continue each other become one.
class SliceList {
 public:
  void Add(int32_t source, int64_t start, int64_t length) {
    if (length == 0) return;
    if (!slices_.empty()) {
      RowSlice& last = slices_.back();
      if (last.source == source && last.start + last.length == start) {
        last.length += length;
        return;
      }
    }
    slices_.push_back({source, false, start, length});
  }
  std::span<const RowSlice> slices() const { return slices_; }

 private:
  std::vector<RowSlice> slices_;
};

Result<std::shared_ptr<ArrayData>> GatherChild(const std::shared_ptr<arrow::DataType>& type,
                                               const Columns& children, const SliceList& list,
                                               arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(const RowSelection selection,
                        RowSelection::FromSlices(list.slices(), children.size(), pool));
  return GatherColumn(type, children, selection, pool);
}

template <typename Offset>
Result<std::shared_ptr<ArrayData>> GatherList(const std::shared_ptr<arrow::DataType>& type,
                                              Validity validity, const Columns& columns,
                                              const RowSelection& selection,
                                              arrow::MemoryPool* pool) {
  const std::vector<const Offset*> bases = OffsetBases<Offset>(columns);
  int64_t total = 0;
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<Buffer> offsets,
                        GatherOffsetsBuffer<Offset>(bases, selection, pool, &total));
  SliceList list;
  gather_internal::ForEachStretch(
      selection, [&](int32_t source, int64_t start, int64_t length, bool descending) {
        if (length == 0) return;
        const Offset* from = bases[static_cast<size_t>(source)] + start;
        if (!descending) return list.Add(source, from[0], from[length] - from[0]);
        for (int64_t i = length; i > 0; --i) list.Add(source, from[i - 1], from[i] - from[i - 1]);
      });
  Columns children;
  for (const Column& column : columns) {
    const ArrayData* child = column.data->child_data[0].get();
    children.push_back({child, child->offset});
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<ArrayData> child,
                        GatherChild(type->field(0)->type(), children, list, pool));
  return ArrayData::Make(type, selection.num_rows(), {validity.bitmap, offsets}, {std::move(child)},
                         validity.null_count);
}

Result<std::shared_ptr<ArrayData>> GatherFixedSizeList(const std::shared_ptr<arrow::DataType>& type,
                                                       Validity validity, const Columns& columns,
                                                       const RowSelection& selection,
                                                       arrow::MemoryPool* pool) {
  const int64_t size = checked_cast<const arrow::FixedSizeListType&>(*type).list_size();
  SliceList list;
  gather_internal::ForEachStretch(
      selection, [&](int32_t source, int64_t start, int64_t length, bool descending) {
        if (!descending) return list.Add(source, start * size, length * size);
        for (int64_t i = length; i > 0; --i) list.Add(source, (start + i - 1) * size, size);
      });
  Columns children;
  for (const Column& column : columns) {
    const ArrayData* child = column.data->child_data[0].get();
    children.push_back({child, child->offset + column.offset * size});
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<ArrayData> child,
                        GatherChild(type->field(0)->type(), children, list, pool));
  return ArrayData::Make(type, selection.num_rows(), {validity.bitmap}, {std::move(child)},
                         validity.null_count);
}

Result<std::shared_ptr<ArrayData>> GatherStruct(const std::shared_ptr<arrow::DataType>& type,
                                                Validity validity, const Columns& columns,
                                                const RowSelection& selection,
                                                arrow::MemoryPool* pool) {
  std::vector<std::shared_ptr<ArrayData>> children;
  for (int i = 0; i < type->num_fields(); ++i) {
    Columns fields;
    for (const Column& column : columns) {
      const ArrayData* child = column.data->child_data[static_cast<size_t>(i)].get();
      fields.push_back({child, child->offset + column.offset});
    }
    ARROW_ASSIGN_OR_RAISE(children.emplace_back(),
                          GatherColumn(type->field(i)->type(), fields, selection, pool));
  }
  return ArrayData::Make(type, selection.num_rows(), {validity.bitmap}, std::move(children),
                         validity.null_count);
}

Result<std::shared_ptr<ArrayData>> GatherColumn(const std::shared_ptr<arrow::DataType>& type,
                                                const Columns& columns,
                                                const RowSelection& selection,
                                                arrow::MemoryPool* pool) {
  const int64_t rows = selection.num_rows();
  if (type->id() == Type::NA) return ArrayData::Make(type, rows, {nullptr}, rows);
  ARROW_ASSIGN_OR_RAISE(const Validity validity, GatherValidity(columns, selection, pool));
  switch (type->id()) {
    case Type::BOOL: {
      ARROW_ASSIGN_OR_RAISE(auto values, GatherBooleans(columns, selection, pool));
      return ArrayData::Make(type, rows, {validity.bitmap, values}, validity.null_count);
    }
    case Type::STRING:
    case Type::BINARY:
      return GatherBinary<int32_t>(type, validity, columns, selection, pool);
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return GatherBinary<int64_t>(type, validity, columns, selection, pool);
    case Type::LIST:
    case Type::MAP:
      return GatherList<int32_t>(type, validity, columns, selection, pool);
    case Type::LARGE_LIST:
      return GatherList<int64_t>(type, validity, columns, selection, pool);
    case Type::FIXED_SIZE_LIST:
      return GatherFixedSizeList(type, validity, columns, selection, pool);
    case Type::STRUCT:
      return GatherStruct(type, validity, columns, selection, pool);
    default:
      break;
  }
  if (arrow::is_fixed_width(type->id()) && type->id() != Type::DICTIONARY) {
    ARROW_ASSIGN_OR_RAISE(auto values,
                          GatherFixedValues(type->byte_width(), columns, selection, pool));
    return ArrayData::Make(type, rows, {validity.bitmap, values}, validity.null_count);
  }
  return Status::TypeError("columns of type ", type->ToString(), " are not stored as such");
}

/// Below this many rows a slice costs more as a slice than as words.
constexpr int64_t kShortSlice = 4;

bool AreShort(int64_t slices, int64_t rows) { return slices > 1 && slices * kShortSlice > rows; }

/// Writes the rows of `slice`, a word each, and returns where they end.
uint64_t* Pack(const RowSlice& slice, uint64_t* out) {
  const uint64_t first = (static_cast<uint64_t>(slice.source) << RowSelection::kRowBits) |
                         static_cast<uint64_t>(slice.start);
  if (slice.length == 1) {
    *out++ = first;
  } else if (!slice.descending) {
    for (int64_t i = 0; i < slice.length; ++i) *out++ = first + static_cast<uint64_t>(i);
  } else {
    for (int64_t i = slice.length; i > 0; --i) *out++ = first + static_cast<uint64_t>(i - 1);
  }
  return out;
}

/// The columns of a batch, each gathered by whoever comes next.
class ColumnsInTurn {
 public:
  ColumnsInTurn(const arrow::Schema& schema,
                std::span<const std::shared_ptr<arrow::RecordBatch>> sources,
                const RowSelection& selection, arrow::MemoryPool* pool)
      : schema_(schema),
        sources_(sources),
        selection_(selection),
        pool_(pool),
        gathered_(static_cast<size_t>(schema.num_fields())) {
    // The larger ones first, so that nobody is left alone with one at the end.
    for (int i = 0; i < schema.num_fields(); ++i) order_.push_back(i);
    std::stable_partition(order_.begin(), order_.end(), [&](int i) {
      return !arrow::is_fixed_width(schema.field(i)->type()->id());
    });
  }

  /// By any number of threads at once.
  Status GatherUntilNoneIsLeft() {
    Columns columns(sources_.size());
    for (size_t i = next_++; i < order_.size(); i = next_++) {
      ARROW_RETURN_NOT_OK(GatherOne(order_[i], &columns));
    }
    return Status::OK();
  }
  std::vector<std::shared_ptr<ArrayData>> gathered() && { return std::move(gathered_); }

 private:
  Status GatherOne(int i, Columns* columns) {
    for (size_t s = 0; s < sources_.size(); ++s) {
      // By reference: counting users, a locked instruction, would wait for each source in turn.
      const ArrayData* data = sources_[s]->column_data()[static_cast<size_t>(i)].get();
      (*columns)[s] = {data, data->offset};
    }
    auto column = GatherColumn(schema_.field(i)->type(), *columns, selection_, pool_);
    if (!column.ok()) {
      return column.status().WithMessage("column '", schema_.field(i)->name(),
                                         "': ", column.status().message());
    }
    gathered_[static_cast<size_t>(i)] = column.MoveValueUnsafe();
    return Status::OK();
  }

  const arrow::Schema& schema_;
  const std::span<const std::shared_ptr<arrow::RecordBatch>> sources_;
  const RowSelection& selection_;
  arrow::MemoryPool* const pool_;
  std::vector<int> order_;
  std::atomic<size_t> next_{0};  // of order_
  std::vector<std::shared_ptr<ArrayData>> gathered_;
};

}  // namespace

Result<RowSelection> RowSelection::FromSlices(std::span<const RowSlice> slices, size_t num_sources,
                                              arrow::MemoryPool* pool) {
  RowSelection selection;
  int64_t last_row = 0;
  for (const RowSlice& slice : slices) {
    MARBLE_DCHECK(slice.source >= 0 && static_cast<size_t>(slice.source) < num_sources);
    if (__builtin_add_overflow(selection.num_rows_, slice.length, &selection.num_rows_)) {
      return Status::CapacityError("more rows than can be counted");
    }
    last_row = std::max(last_row, slice.start + slice.length);
  }
  const bool representable =
      num_sources < (size_t{1} << (64 - kRowBits)) && last_row < static_cast<int64_t>(kRowMask);
  if (representable && AreShort(static_cast<int64_t>(slices.size()), selection.num_rows_)) {
    ARROW_ASSIGN_OR_RAISE(uint64_t* out, selection.MakePacked(pool));
    for (const RowSlice& slice : slices) out = Pack(slice, out);
    return selection;
  }
  selection.slices_ = slices;
  if (slices.size() == 1 && !slices[0].descending) selection.lone_slice_ = slices[0];
  return selection;
}

Result<RowSelection> RowSelection::FromList(RowList list, arrow::MemoryPool* pool) {
  RowSelection selection;
  selection.num_rows_ = list.rows();
  const int64_t stretches = list.stretches();
  if (stretches == 1 && !list.last().descending) selection.lone_slice_ = list.last();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<Buffer> list_words, std::move(list).TakeWords());
  const std::span<const uint64_t> words = list_words->span_as<uint64_t>();
  if (stretches == selection.num_rows_) {
    selection.packed_ = words.data();
    selection.words_ = std::move(list_words);
  } else if (AreShort(stretches, selection.num_rows_)) {
    ARROW_ASSIGN_OR_RAISE(uint64_t* out, selection.MakePacked(pool));
    RowList::ForEach(words, [&out](const RowSlice& slice) { out = Pack(slice, out); });
  } else {
    selection.list_words_ = words;
    selection.words_ = std::move(list_words);
  }
  return selection;
}

/// Room for the packed form, which the selection has from now on.
Result<uint64_t*> RowSelection::MakePacked(arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(words_, arrow::AllocateBuffer(num_rows_ * int64_t{sizeof(uint64_t)}, pool));
  auto* words = reinterpret_cast<uint64_t*>(words_->mutable_data());
  packed_ = words;
  return words;
}

RowSelection RowSelection::FromIndices(std::span<const uint64_t> indices) {
  RowSelection selection;
  selection.num_rows_ = static_cast<int64_t>(indices.size());
  selection.packed_ = indices.data();
  return selection;
}

Result<std::shared_ptr<arrow::RecordBatch>> GatherRows(
    const std::shared_ptr<arrow::Schema>& schema,
    std::span<const std::shared_ptr<arrow::RecordBatch>> sources, const RowSelection& selection,
    arrow::MemoryPool* pool, Helpers* helpers) {
  ColumnsInTurn columns(*schema, sources, selection, pool);
  if (helpers != nullptr && schema->num_fields() > 1) {
    EarlyWork<Status> helped([&columns] { return columns.GatherUntilNoneIsLeft(); }, helpers);
    const Status own = columns.GatherUntilNoneIsLeft();
    ARROW_RETURN_NOT_OK(helped.Take());
    ARROW_RETURN_NOT_OK(own);
  } else {
    ARROW_RETURN_NOT_OK(columns.GatherUntilNoneIsLeft());
  }
  return arrow::RecordBatch::Make(schema, selection.num_rows(), std::move(columns).gathered());
}

}  // namespace marble

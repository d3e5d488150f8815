#include "tree/merge_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "tree/merge_input.h"
#include "tree/merge_output.h"
#include "tree/retention.h"

namespace marble {
namespace {

/// Rows looked at one by one before a stretch is searched for by galloping.
constexpr int64_t kWalkRows = 16;
/// Stretches from here on are delivered as batches of their own, not copied together with others.
constexpr int64_t kStretchRows = 4096;
constexpr int64_t kStretchBytes = 256 * 1024;
/// The same when only one source is left: then small batches need not be copied together either,
/// unless they are what a filter has left of larger ones. Those are copies already, and to whom
/// they go each batch costs more than its few rows.
constexpr int64_t kLoneStretchRows = 128;

/// What a read gathers is looked at next: several such batches are in flight, and should be found
/// in the processor's cache.
constexpr int64_t kReadBatchBytes = 4 << 20;

/// When a gathered batch is complete, by bytes. Whatever rows are taken from batches whose sum is
/// below `light`, 32-bit offsets of the gathered batch suffice and an estimate will do. Rows of
/// larger batches are counted exactly.
struct ByteLimits {
  ByteLimits(int64_t batch_bytes_max, int64_t output_max, size_t sources)
      : base(std::clamp<int64_t>(batch_bytes_max, 1, kMergeBatchBytes)),
        output(std::min(base, output_max)),
        superseded(2 * base),
        heavy_rows(8 * base),
        heavy_batch(16 * base / static_cast<int64_t>(sources + 1)) {}
  int64_t base;
  int64_t output;       // gathered, an estimate
  int64_t superseded;   // of batches that are kept only because rows of them were taken
  int64_t heavy_rows;   // gathered from heavy batches, exactly
  int64_t heavy_batch;  // a batch with more than this is heavy
};

/// A row of a key that stands in several sources.
struct Version {
  uint64_t sequence;
  int index;  // of the input
  int64_t row;
  bool hidden;
};

class Merger : public MergedReader {
 public:
  Merger(std::vector<std::unique_ptr<SortedReader>> sources, Retention retention,
         MergeOutput::Options output, bool reverse, int64_t rows_first, int64_t rows_max,
         ByteLimits limits)
      : retention_(std::move(retention)),
        output_(std::move(output)),
        reverse_(reverse),
        rows_max_(std::max<int64_t>(rows_max, 1)),
        target_(rows_first > 0 ? std::min(rows_first, rows_max_) : rows_max_),
        limits_(limits) {
    for (size_t i = 0; i < sources.size(); ++i) {
      inputs_.push_back(
          std::make_unique<MergeInput>(std::move(sources[i]), static_cast<int>(i), reverse));
    }
  }

  arrow::Result<std::optional<RowBatch>> Next() override {
    ARROW_ASSIGN_OR_RAISE(auto chosen, NextChosen());
    if (!chosen.has_value()) return std::nullopt;
    auto batch = (*std::move(chosen)).Gather();
    failed_ = batch.status();
    return batch;
  }

  arrow::Result<std::optional<ChosenRows>> NextChosen() override {
    ARROW_RETURN_NOT_OK(failed_);
    auto chosen = ChooseOrFail();
    failed_ = chosen.status();
    return chosen;
  }

 private:
  /// A long stretch of one batch, delivered without a copy after the rows collected before it.
  struct Stretch {
    RowBatch batch;
    int64_t start = 0;
    int64_t length = 0;
  };

  arrow::Result<std::optional<ChosenRows>> ChooseOrFail();
  arrow::Status Start();
  ChosenRows CutStretch();

  template <bool kReverse>
  arrow::Status Fill();
  template <bool kReverse>
  arrow::Status Step();
  template <bool kReverse>
  arrow::Status StepTied(uint64_t prefix);
  arrow::Status StepEqual();
  arrow::Status StepVersions();
  template <bool kReverse>
  arrow::Status Take(size_t at, int64_t count);
  void FinishKey(MergeInput* input);
  template <bool kReverse>
  int64_t Gallop(const MergeInput& input, int64_t count, std::string_view bound) const;
  template <bool kReverse>
  std::string_view SecondHead(size_t at, uint64_t prefix) const;

  arrow::Status Advance(size_t at);
  void RefreshPrefixes(size_t at);
  uint64_t Prefix(std::string_view key) const {
    const uint64_t prefix = KeyPrefix(key, skip_);
    return reverse_ ? ~prefix : prefix;
  }
  bool IsStretch(MergeInput* input, int64_t count) const;
  bool IsHeavy(MergeInput* input) const { return input->batch_bytes() > limits_.heavy_batch; }
  int64_t HeavyRowsThatFit(const MergeInput& input, int64_t count);
  void CloseIfFull();

  const Retention retention_;
  MergeOutput output_;
  const bool reverse_;
  const int64_t rows_max_;
  int64_t target_;  // rows of the next batch
  const ByteLimits limits_;
  std::vector<std::unique_ptr<MergeInput>> inputs_;

  // Inputs that are not at their end, and the prefix of each one's head: the smallest comes next
  // (in reverse prefixes are complemented, so that this holds as well). Prefixes start behind the
  // bytes that all keys of all current batches share.
  std::vector<MergeInput*> active_;
  std::vector<uint64_t> prefixes_;
  size_t skip_ = 0;

  std::optional<Stretch> stretch_;
  int64_t heavy_bytes_ = 0;  // of rows in the output from heavy batches
  bool started_ = false;
  bool full_ = false;  // the output is to be delivered
  arrow::Status failed_;
  std::vector<size_t> tied_;   // active inputs with equal head prefixes
  std::vector<size_t> equal_;  // of these, ascending, those with the next key
  std::vector<Version> versions_;
};

arrow::Status Merger::Start() {
  started_ = true;
  for (auto& input : inputs_) {
    ARROW_ASSIGN_OR_RAISE(const bool any, input->NextBatch(retention_));
    if (any) active_.push_back(input.get());
  }
  prefixes_.resize(active_.size());
  if (active_.size() > 1) {
    for (const MergeInput* input : active_) {
      if (input->batch.keys.size() != input->batch.num_rows()) {
        return arrow::Status::Invalid("rows without keys cannot be merged by key");
      }
    }
    skip_ = ~size_t{0};  // no prefix is known yet
    RefreshPrefixes(0);
  }
  return arrow::Status::OK();
}

arrow::Result<std::optional<ChosenRows>> Merger::ChooseOrFail() {
  if (!started_) ARROW_RETURN_NOT_OK(Start());
  if (!stretch_.has_value()) ARROW_RETURN_NOT_OK(reverse_ ? Fill<true>() : Fill<false>());
  std::optional<ChosenRows> out;
  if (output_.rows() > 0) {
    heavy_bytes_ = 0;
    out = output_.Take();
  } else if (stretch_.has_value()) {
    out = CutStretch();
  } else {
    return out;
  }
  target_ = target_ > rows_max_ / 2 ? rows_max_ : 2 * target_;
  return out;
}

ChosenRows Merger::CutStretch() {
  const int64_t length = std::min(target_, stretch_->length);
  ChosenRows out = output_.PassThrough(stretch_->batch, stretch_->start, length);
  stretch_->start += length;
  stretch_->length -= length;
  if (stretch_->length == 0) stretch_.reset();
  return out;
}

template <bool kReverse>
arrow::Status Merger::Fill() {
  full_ = false;
  while (!active_.empty()) {
    if (active_.size() == 1) {
      ARROW_RETURN_NOT_OK(Take<kReverse>(0, active_[0]->left()));
    } else {
      ARROW_RETURN_NOT_OK(Step<kReverse>());
    }
    if (!full_) continue;
    if (output_.rows() > 0 || stretch_.has_value()) break;
    // Closed because of what it kept alive, while no row of that was delivered.
    output_.Clear();
    full_ = false;
  }
  return arrow::Status::OK();
}

/// Takes the rows that come before the heads of all other inputs.
template <bool kReverse>
arrow::Status Merger::Step() {
  size_t at = 0;
  uint64_t first = prefixes_[0];
  uint64_t second = ~uint64_t{0};
  const size_t inputs = active_.size();
  for (size_t i = 1; i < inputs; ++i) {
    const uint64_t prefix = prefixes_[i];
    const bool less = prefix < first;
    const uint64_t other = less ? first : prefix;
    second = other < second ? other : second;
    at = less ? i : at;
    first = less ? prefix : first;
  }
  if (first == second) [[unlikely]]
    return StepTied<kReverse>(first);

  MergeInput& input = *active_[at];
  const int64_t left = input.left();
  const int64_t walk = std::min(left, kWalkRows);
  int64_t count = 1;
  uint64_t prefix = 0;
  while (count < walk) {
    const int64_t row = kReverse ? input.pos - count : input.pos + count;
    prefix = Prefix(input.batch.keys[row]);
    if (prefix >= second) {
      // The common end of a short stretch: the prefix of the new head is at hand.
      if (input.hidden || count < target_ - output_.rows()) {
        if (!input.hidden) {
          if (IsHeavy(&input)) [[unlikely]]
            return Take<kReverse>(at, count);
          output_.Add(&input, kReverse ? row + 1 : input.pos, count, kReverse);
          CloseIfFull();
        }
        input.pos = row;
        prefixes_[at] = prefix;
        return arrow::Status::OK();
      }
      return Take<kReverse>(at, count);
    }
    ++count;
  }
  if (count < left) count = Gallop<kReverse>(input, count, SecondHead<kReverse>(at, second));
  return Take<kReverse>(at, count);
}

/// Rows of the input that come before `bound`, `count` of which are known.
template <bool kReverse>
int64_t Merger::Gallop(const MergeInput& input, int64_t count, std::string_view bound) const {
  const EncodedKeys& keys = input.batch.keys;
  if constexpr (kReverse) {
    return input.pos - keys.GallopUpperBoundReverse(bound, input.stop + 1, input.pos - count + 1);
  } else {
    return keys.GallopLowerBound(bound, input.pos + count, input.stop) - input.pos;
  }
}

/// The next key of the inputs other than `at`; its prefix is `prefix`.
template <bool kReverse>
std::string_view Merger::SecondHead(size_t at, uint64_t prefix) const {
  std::string_view second;
  bool found = false;
  for (size_t i = 0; i < active_.size(); ++i) {
    if (i == at || prefixes_[i] != prefix) continue;
    const std::string_view head = active_[i]->head();
    if (!found || (kReverse ? head > second : head < second)) second = head;
    found = true;
  }
  return second;
}

/// Several heads begin with the same bytes: compares whole keys.
template <bool kReverse>
arrow::Status Merger::StepTied(uint64_t prefix) {
  tied_.clear();
  for (size_t i = 0; i < active_.size(); ++i) {
    if (prefixes_[i] == prefix) tied_.push_back(i);
  }
  std::string_view first = active_[tied_[0]]->head();
  std::string_view second;
  bool has_second = false;
  equal_.assign(1, tied_[0]);
  for (size_t t = 1; t < tied_.size(); ++t) {
    const std::string_view head = active_[tied_[t]]->head();
    const int order = kReverse ? first.compare(head) : head.compare(first);
    if (order == 0) {
      equal_.push_back(tied_[t]);
    } else if (order < 0) {
      second = first;
      has_second = true;
      first = head;
      equal_.assign(1, tied_[t]);
    } else if (!has_second || (kReverse ? head > second : head < second)) {
      second = head;
      has_second = true;
    }
  }
  if (equal_.size() > 1) return retention_.single_version() ? StepEqual() : StepVersions();
  const MergeInput& input = *active_[equal_[0]];
  int64_t count = 1;
  if (count < input.left()) count = Gallop<kReverse>(input, count, second);
  return Take<kReverse>(equal_[0], count);
}

/// One key in several sources, one row in each: the newest is the one.
arrow::Status Merger::StepEqual() {
  MergeInput* newest = active_[equal_[0]];
  for (size_t e = 1; e < equal_.size(); ++e) {
    MergeInput* input = active_[equal_[e]];
    const uint64_t sequence = input->batch.SequenceAt(input->pos);
    const uint64_t best = newest->batch.SequenceAt(newest->pos);
    if (sequence > best || (sequence == best && input->index < newest->index)) newest = input;
  }
  if (!newest->hidden) {
    if (IsHeavy(newest) && HeavyRowsThatFit(*newest, 1) == 0) {
      full_ = true;
      return arrow::Status::OK();
    }
    output_.Add(newest, newest->pos, 1, reverse_);
    CloseIfFull();
  }
  // From the last to the first, because an input at its end leaves active_.
  for (size_t e = equal_.size(); e-- > 0;) {
    MergeInput* input = active_[equal_[e]];
    input->pos += reverse_ ? -1 : 1;
    ARROW_RETURN_NOT_OK(Advance(equal_[e]));
  }
  return arrow::Status::OK();
}

/// One key in several sources, any number of versions in each: the newest of each stripe are kept.
/// Forward only.
arrow::Status Merger::StepVersions() {
  bool heavy = false;
  for (const size_t at : equal_) heavy = heavy || IsHeavy(active_[at]);
  if (heavy && output_.rows() > 0) {
    full_ = true;
    return arrow::Status::OK();
  }
  const std::string_view key = active_[equal_[0]]->head();
  versions_.clear();
  for (const size_t at : equal_) {
    MergeInput* input = active_[at];
    output_.Adopt(input);  // also keeps `key` alive
    while ((input->pos < input->stop || input->NextRange()) && input->head() == key) {
      versions_.push_back(
          {input->batch.SequenceAt(input->pos), input->index, input->pos, input->hidden});
      ++input->pos;
    }
  }
  std::sort(versions_.begin(), versions_.end(), [](const Version& a, const Version& b) {
    return a.sequence != b.sequence ? a.sequence > b.sequence : a.index < b.index;
  });
  std::optional<size_t> taken;
  for (const Version& version : versions_) {
    const size_t stripe = retention_.StripeOf(version.sequence);
    if (taken == stripe) continue;
    taken = stripe;
    if (!version.hidden) {
      output_.Add(inputs_[static_cast<size_t>(version.index)].get(), version.row, 1, false);
    }
  }
  CloseIfFull();
  full_ = full_ || heavy;
  for (size_t e = equal_.size(); e-- > 0;) ARROW_RETURN_NOT_OK(Advance(equal_[e]));
  return arrow::Status::OK();
}

/// Takes the next `count` rows of an input's range, or as many of them as the output has room for.
template <bool kReverse>
arrow::Status Merger::Take(size_t at, int64_t count) {
  MergeInput& input = *active_[at];
  if (!input.hidden) {
    if (!kReverse && IsStretch(&input, count)) {
      stretch_ = Stretch{input.batch, input.pos, count};
      full_ = true;
    } else {
      count = std::min(count, target_ - output_.rows());
      if (IsHeavy(&input)) {
        const int64_t fit = HeavyRowsThatFit(input, count);
        full_ = fit < count;
        count = fit;
      }
      if (count > 0) {
        output_.Add(&input, kReverse ? input.pos - count + 1 : input.pos, count, kReverse);
        CloseIfFull();
      }
    }
  }
  input.pos += kReverse ? -count : count;
  if (full_ && !retention_.single_version() && !input.batch.unique_keys) FinishKey(&input);
  return Advance(at);
}

/// Adds the further versions of the key that stands before the input's position, so that all
/// versions of a key come in one batch. Forward only; no other input has this key.
void Merger::FinishKey(MergeInput* input) {
  if (input->pos == 0) return;
  const std::string_view key = input->batch.keys[input->pos - 1];
  while ((input->pos < input->stop || input->NextRange()) && input->head() == key) {
    if (!input->hidden) output_.Add(input, input->pos, 1, false);
    ++input->pos;
  }
}

/// To be called when an input's position has moved: finds its new head.
arrow::Status Merger::Advance(size_t at) {
  MergeInput* input = active_[at];
  if (input->pos == input->stop && !input->NextRange()) {
    output_.NoteSuperseded(input);
    full_ = full_ || output_.superseded_bytes() > limits_.superseded;
    ARROW_ASSIGN_OR_RAISE(const bool more, input->NextBatch(retention_));
    if (!more) {
      active_[at] = active_.back();
      active_.pop_back();
      prefixes_[at] = prefixes_.back();
      prefixes_.pop_back();
      return arrow::Status::OK();
    }
    if (active_.size() > 1) RefreshPrefixes(at);
    return arrow::Status::OK();
  }
  if (active_.size() > 1) prefixes_[at] = Prefix(input->head());
  return arrow::Status::OK();
}

/// The input `at` has a new batch: finds what all keys of all batches share, and the prefixes
/// behind it.
void Merger::RefreshPrefixes(size_t at) {
  std::string_view low = active_[0]->batch.keys[0];
  std::string_view high = low;
  for (const MergeInput* input : active_) {
    const EncodedKeys& keys = input->batch.keys;
    low = std::min(low, keys[0]);
    high = std::max(high, keys[keys.size() - 1]);
  }
  const auto differ = std::mismatch(low.begin(), low.end(), high.begin(), high.end());
  const auto shared = static_cast<size_t>(differ.first - low.begin());
  if (shared == skip_) {
    prefixes_[at] = Prefix(active_[at]->head());
    return;
  }
  skip_ = shared;
  for (size_t i = 0; i < active_.size(); ++i) {
    // An input that has used up its batch has no head; its own Advance comes after this one.
    if (active_[i]->left() > 0) prefixes_[i] = Prefix(active_[i]->head());
  }
}

bool Merger::IsStretch(MergeInput* input, int64_t count) const {
  // Where versions of a key may be spread over ranges, rows are gathered so that they come in one
  // batch.
  if (!retention_.single_version() && !input->batch.unique_keys) return false;
  if (count >= kStretchRows) return true;
  if (active_.size() == 1 && count >= kLoneStretchRows && !input->batch.filtered) return true;
  return count * input->row_bytes() >= kStretchBytes;
}

/// How many of the next `count` rows of an input with a heavy batch go into the output; at least
/// one if it is empty.
int64_t Merger::HeavyRowsThatFit(const MergeInput& input, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = reverse_ ? input.pos - i : input.pos + i;
    const int64_t bytes = BatchBytes(*input.batch.columns->Slice(row, 1));
    if (heavy_bytes_ + bytes > limits_.heavy_rows && (i > 0 || output_.rows() > 0)) return i;
    heavy_bytes_ += bytes;
  }
  return count;
}

void Merger::CloseIfFull() {
  full_ = full_ || output_.rows() >= target_ || output_.bytes() >= limits_.output ||
          output_.has_many_sources();
}

}  // namespace

arrow::Result<std::unique_ptr<MergedReader>> MergeForRead(
    std::vector<std::unique_ptr<SortedReader>> sources, MergeReadOptions options) {
  const bool reverse = options.direction == Direction::kReverse;
  MergeOutput::Options output;
  output.schema = std::move(options.schema);
  output.with_keys = options.want_keys && !reverse;
  output.pool = options.pool != nullptr ? options.pool : arrow::default_memory_pool();
  output.helpers = options.helpers;
  const ByteLimits limits(options.batch_bytes_max, kReadBatchBytes, sources.size());
  return std::make_unique<Merger>(
      std::move(sources), Retention::ForRead(options.snapshot, std::move(options.tombstones)),
      std::move(output), reverse, options.batch_rows_first, options.batch_rows_max, limits);
}

arrow::Result<std::unique_ptr<SortedReader>> MergeForCompaction(
    std::vector<std::unique_ptr<SortedReader>> sources, CompactOptions options) {
  Retention retention = Retention::ForCompaction(options.snapshots, options.bottommost,
                                                 std::move(options.tombstones));
  MergeOutput::Options output;
  output.schema = std::move(options.schema);
  output.with_versions = true;
  output.single_version = retention.single_version();
  output.key_column = options.key_column;
  output.pool = options.pool != nullptr ? options.pool : arrow::default_memory_pool();
  const ByteLimits limits(options.batch_bytes_max, kMergeBatchBytes, sources.size());
  return std::make_unique<Merger>(std::move(sources), std::move(retention), std::move(output),
                                  /*reverse=*/false, /*rows_first=*/0, options.batch_rows_max,
                                  limits);
}

}  // namespace marble

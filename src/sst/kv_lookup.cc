#include "sst/kv_lookup.h"

#include <atomic>

namespace marble {

namespace {

/// No two files opened in the process have one, so that a copied row is of this file.
uint64_t NewId() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

KvLookup::KvLookup(SstFile* file)
    : file_(file), sequence_max_(file->meta().sequence_max), id_(NewId()), blocks_(file) {}

void KvLookup::AskForRow(const PointQuery& query, const Place& place) const {
  const auto ask = [this](std::string_view bytes) {
    if (!bytes.empty()) file_->AskFor(bytes);
  };
  std::string_view bytes;
  if (blocks_.Key(place.at, place.row, &bytes)) ask(bytes);
  if (blocks_.Value(place.at, place.row, &bytes)) ask(bytes);
  if (NeedsSequence(query)) ask(blocks_.SequenceBytes(place.at, place.row));
}

}  // namespace marble

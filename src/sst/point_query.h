// A point lookup of one value, and its answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "row/row_kind.h"

namespace marble {

/// What a lookup of a value asks for.
struct PointQuery {
  std::string_view key;
  uint64_t hash = 0;  // HashKey(key)
  uint64_t snapshot = kSequenceMax;
  /// Keeps the value alive beyond the reader; see SstReader::FindValue.
  bool pin = false;
  /// Is FoundValue::sequence needed? A row's sequence is on a page of its own, which nothing else
  /// touches where the whole file is visible to the snapshot.
  bool want_sequence = true;
};

/// A key's value where it lies.
struct FoundValue {
  bool found = false;
  RowKind kind = RowKind::kPut;
  uint64_t sequence = 0;              // 0 if it was not wanted
  std::string_view value;             // null pointer if it is null
  std::shared_ptr<const void> owner;  // keeps `value` alive, if set
};

}  // namespace marble

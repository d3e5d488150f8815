// The range of keys that a file concerns: its rows and its range tombstones.
#pragma once

#include <string>
#include <string_view>

#include "sst/file_meta.h"
#include "sst/range_tombstone.h"

namespace marble {

class KeyBounds {
 public:
  /// Rows from `first` to `last`, both included.
  void AddRows(std::string_view first, std::string_view last) {
    AddStart(first);
    // At the same key the inclusive bound is the wider one.
    if (last >= largest_) {
      largest_ = last;
      largest_exclusive_ = false;
    }
  }
  void AddTombstone(const RangeTombstone& tombstone) {
    AddStart(tombstone.begin);
    if (!tombstone.end.has_value()) {
      unbounded_end_ = true;
    } else if (*tombstone.end > largest_) {
      largest_ = *tombstone.end;
      largest_exclusive_ = true;
    }
  }
  void Store(FileMeta* meta) const {
    // A file of nothing but unbounded tombstones has no largest key of its own.
    const bool below = largest_ < smallest_;
    meta->smallest = smallest_;
    meta->largest = below ? smallest_ : largest_;
    meta->largest_exclusive = !below && largest_exclusive_;
    meta->unbounded_end = unbounded_end_;
  }

 private:
  void AddStart(std::string_view start) {
    if (!any_ || start < smallest_) smallest_ = start;
    any_ = true;
  }

  bool any_ = false;
  std::string smallest_;
  std::string largest_;
  bool largest_exclusive_ = false;
  bool unbounded_end_ = false;
};

}  // namespace marble

// A dataset on its way from _core, which has the table, to _dataset, which knows pyarrow's class;
// and the guards that let a forked child drop what its parent's engine holds.
#pragma once

#include <Python.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/dataset/dataset.h>

#include <marble/dataset.h>

#include "fork_guard.h"

namespace marble_python {

using DatasetRef = std::shared_ptr<arrow::dataset::Dataset>;

inline constexpr char kDatasetCapsule[] = "marbledb.dataset";

/// The same object through a pointer whose last copy leaks it in a forked child. pyarrow's scanners
/// and fragments, which are not ours, hold such copies.
template <typename T>
std::shared_ptr<T> LeakInChild(std::shared_ptr<T> object) {
  T* const raw = object.get();
  auto release = [object = std::move(object), generation = ForkGeneration()](T*) mutable {
    if (generation != ForkGeneration()) {
      Leak(object);
    } else {
      object.reset();
    }
  };
  return std::shared_ptr<T>(raw, std::move(release));
}

inline arrow::Result<DatasetRef> MakeGuardedDataset(
    std::shared_ptr<marble::Table> table, std::shared_ptr<const marble::Snapshot> snapshot,
    std::vector<std::string> dictionary_columns) {
  if (snapshot == nullptr) {
    ARROW_ASSIGN_OR_RAISE(snapshot, table->database()->GetSnapshot());
  }
  return marble::MakeDataset(LeakInChild(std::move(table)), LeakInChild(std::move(snapshot)),
                             {.dictionary_columns = std::move(dictionary_columns)});
}

/// A new reference, or nullptr with a Python error set.
inline PyObject* DatasetCapsule(DatasetRef dataset) {
  auto held = std::make_unique<DatasetRef>(std::move(dataset));
  PyObject* capsule = PyCapsule_New(held.get(), kDatasetCapsule, [](PyObject* self) {
    std::unique_ptr<DatasetRef>(
        static_cast<DatasetRef*>(PyCapsule_GetPointer(self, kDatasetCapsule)));
  });
  if (capsule != nullptr) static_cast<void>(held.release());
  return capsule;
}

/// nullptr with a Python error set if `capsule` is none of ours.
inline DatasetRef DatasetOf(PyObject* capsule) {
  const auto* held = static_cast<DatasetRef*>(PyCapsule_GetPointer(capsule, kDatasetCapsule));
  return held == nullptr ? nullptr : *held;
}

}  // namespace marble_python

// Dictionaries of short strings: what columns of few distinct values are made of, several times as
// fast as Arrow's kernel, which hashes strings of any length. Pure function; no state.
#pragma once

#include <memory>

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/result.h>

namespace marble {

/// What EncodeDictionary (compute.h) gives: the distinct values in the order in which they come
/// and, per row, an int32 index into them. nullptr for arrays that are not utf8, binary or their
/// large forms, have values of more than 16 bytes, or more than 1,024 distinct ones.
arrow::Result<std::shared_ptr<arrow::DictionaryArray>> EncodeShortStrings(const arrow::Array& array,
                                                                          arrow::MemoryPool* pool);

}  // namespace marble

// Layout of an SSTable (docs/formats.md): a valid Arrow IPC file with Marble's sections between the
// last record batch and the Arrow footer.
//
//   "ARROW1\0\0"                      Arrow's magic
//   schema message                    user columns, then _sequence (uint64) and _kind (uint8) if
//                                     present; its metadata is lengthened by 56 zero bytes so that
//                                     every buffer is 64-byte aligned in the file
//   record batch messages             one per block, all buffers 64-byte aligned
//   FF FF FF FF 00 00 00 00           end-of-stream marker of our own: stream readers stop here
//   sections, each 64-byte aligned    point index or bloom filter; block index; zone maps; range
//                                     tombstones; page checksums (last)
//   Arrow footer + length + "ARROW1"  custom metadata "marble.*" locates the sections
//
// Page checksums: XXH3-64 of each 16 KiB page of the bytes [0, start of the page checksum section),
// the last page short; seeded with the page number. The manifest holds the XXH3-64 of everything
// from the page checksum section to the end of the file (FileMeta::tail_checksum), so every byte is
// covered from the manifest down. The section's place follows from the file's size and the length
// of the Arrow footer alone (TailStart), so that the tail can be checked before anything in it is
// parsed.
//
// Custom metadata of the footer (text):
//   marble.version  "1"     marble.flags "ignore,read,refuse" as three decimal numbers
//   marble.uuid     32 hex  marble.unique_id  decimal     marble.schema_version  decimal
//   marble.table_id decimal  marble.table_name  when it was written
//   marble.key_columns  indices of the key columns in key order, "0,2"; empty: an append table
//   marble.newest_sequence  decimal; where the rows' own sequences were given up (see SstWriter)
//   marble.sections "name:offset:length;..." with names point_index, bloom_filter, block_index,
//                   zone_maps, range_tombstones, page_checksums
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <arrow/result.h>
#include <arrow/type_fwd.h>

namespace marble {

inline constexpr uint32_t kSstVersion = 1;
inline constexpr int64_t kSstPageBytes = 16 * 1024;
inline constexpr int64_t kSstSectionAlignment = 64;

/// Arrow's part of the layout: the magic, which two zero bytes follow at the beginning; what stands
/// in front of each message (a continuation marker and the length of the metadata); what closes the
/// file (the length of the footer and the magic).
inline constexpr char kIpcMagic[] = "ARROW1";
inline constexpr int64_t kIpcMagicBytes = 6;
inline constexpr int64_t kIpcBeginBytes = 8;
inline constexpr int64_t kIpcPrefixBytes = 8;
inline constexpr int64_t kIpcTrailerBytes = 4 + kIpcMagicBytes;

inline constexpr char kSectionPointIndex[] = "point_index";
inline constexpr char kSectionBloomFilter[] = "bloom_filter";
inline constexpr char kSectionBlockIndex[] = "block_index";
inline constexpr char kSectionZoneMaps[] = "zone_maps";
inline constexpr char kSectionRangeTombstones[] = "range_tombstones";
inline constexpr char kSectionPageChecksums[] = "page_checksums";

inline constexpr char kMetadataVersion[] = "marble.version";
inline constexpr char kMetadataFlags[] = "marble.flags";
inline constexpr char kMetadataUuid[] = "marble.uuid";
inline constexpr char kMetadataUniqueId[] = "marble.unique_id";
inline constexpr char kMetadataSchemaVersion[] = "marble.schema_version";
inline constexpr char kMetadataSections[] = "marble.sections";
/// For whoever has lost the manifest: which table the file belongs to, and how its rows are sorted.
inline constexpr char kMetadataTableId[] = "marble.table_id";
inline constexpr char kMetadataTableName[] = "marble.table_name";
inline constexpr char kMetadataKeyColumns[] = "marble.key_columns";
inline constexpr char kMetadataNewestSequence[] = "marble.newest_sequence";
/// Field metadata of the hidden columns: "sequence" or "kind".
inline constexpr char kMetadataHidden[] = "marble.hidden";

struct SectionLocation {
  int64_t offset = 0;
  int64_t length = 0;

  bool operator==(const SectionLocation&) const = default;
};
using SectionDirectory = std::map<std::string, SectionLocation, std::less<>>;

std::string EncodeSectionDirectory(const SectionDirectory& directory);
/// Invalid unless `text` is what EncodeSectionDirectory wrote for non-negative numbers.
arrow::Result<SectionDirectory> DecodeSectionDirectory(std::string_view text);

/// Decimal digits only; nullopt for anything else and for overflow.
std::optional<uint64_t> ParseDecimal(std::string_view text);

inline uint64_t PageSeed(int64_t page) {
  return 0x4d61726265500000ull + static_cast<uint64_t>(page);
}

/// Where the page checksum section starts in a file of `size` bytes whose Arrow footer has
/// `footer_length` bytes; nullopt if no file of this format has these lengths.
std::optional<int64_t> TailStart(int64_t size, int64_t footer_length);

/// Fields of a file's schema: those of `stored` and then the hidden columns asked for.
std::shared_ptr<arrow::Schema> SstFileSchema(const arrow::Schema& stored, bool with_sequence,
                                             bool with_kind);

}  // namespace marble

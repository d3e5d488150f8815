// Layout of an SSTable (docs/formats.md): a valid Arrow IPC file with Marble's sections between the last
// record batch and the Arrow footer.
//
//   "ARROW1\0\0"                      Arrow's magic
//   schema message                    user columns, then _sequence (uint64) and _kind (uint8) if present; its
//                                     metadata is lengthened so that every buffer is 64-byte aligned in the file
//   record batch messages             one per block, all buffers 64-byte aligned
//   FF FF FF FF 00 00 00 00           end-of-stream marker of our own, so that stream readers stop here
//   sections, each 64-byte aligned    point index or bloom filter; block index; zone maps; range tombstones;
//                                     page checksums (last)
//   Arrow footer + length + "ARROW1"  custom metadata "marble.*" locates the sections
//
// Page checksums: XXH3-64 of each 16 KiB page of the bytes [0, start of the page checksum section), the last
// page short; seeded with the page number. The manifest holds the XXH3-64 of everything from the page checksum
// section to the end of the file (FileMeta::tail_checksum), so every byte is covered from the manifest down.
//
// Custom metadata of the footer (text):
//   marble.version  "1"     marble.flags "ignore,read,refuse" as three decimal numbers
//   marble.uuid     32 hex  marble.unique_id  decimal
//   marble.sections "name:offset:length;..." with names point_index, bloom_filter, block_index, zone_maps,
//                   range_tombstones, page_checksums
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <arrow/result.h>

namespace marble {

inline constexpr uint32_t kSstVersion = 1;
inline constexpr int64_t kSstPageBytes = 16 * 1024;
inline constexpr int64_t kSstSectionAlignment = 64;

struct SectionLocation {
  int64_t offset = 0;
  int64_t length = 0;
};
using SectionDirectory = std::map<std::string, SectionLocation, std::less<>>;

std::string EncodeSectionDirectory(const SectionDirectory& directory);
arrow::Result<SectionDirectory> DecodeSectionDirectory(std::string_view text);

inline uint64_t PageSeed(int64_t page) { return 0x4d61726265500000ull + static_cast<uint64_t>(page); }

}  // namespace marble

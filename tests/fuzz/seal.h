// Checksums of files made right again after a mutation.
#pragma once

#include <map>
#include <string>

namespace marble::fuzz {

/// A log segment or manifest: the header's checksum and those of the records, one after the other,
/// until one would leave the file.
void SealLog(std::string* bytes);
/// An SSTable: the checksums of its pages, if its footer says where they are.
void SealSst(std::string* bytes);
/// CURRENT: its checksum, and the manifest's size if it was closed properly.
void SealCurrent(size_t manifest_bytes, std::string* text);
/// A manifest, told size, checksum and id of the SSTables at hand, by number.
void SealManifest(const std::map<uint64_t, std::string>& ssts, std::string* bytes);

}  // namespace marble::fuzz

// The files of a database as one input, and back. An archive: per file a length u8, that many bytes
// of its path below the database, a length u32, and its bytes.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <marble/file_system.h>

namespace marble::fuzz {

using Archive = std::map<std::string, std::string>;  // paths below the database, contents

std::string Pack(const Archive& files);
/// As far as the bytes go.
Archive Unpack(std::string_view bytes);
/// Below `directory`, which is made with its two folders. What cannot have such a path is left out.
void WriteFiles(const Archive& files, const std::string& directory, FileSystem* fs);
/// A file that did not exist.
void WriteFile(const std::string& path, std::string_view bytes, FileSystem* fs);

}  // namespace marble::fuzz

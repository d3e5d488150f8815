#include "fuzz/archive.h"

#include <algorithm>
#include <cstdint>

#include "base/coding.h"

namespace marble::fuzz {

std::string Pack(const Archive& files) {
  std::string out;
  for (const auto& [path, bytes] : files) {
    PutFixed(&out, static_cast<uint8_t>(path.size()));
    out += path;
    PutFixed(&out, static_cast<uint32_t>(bytes.size()));
    out += bytes;
  }
  return out;
}

Archive Unpack(std::string_view bytes) {
  Archive files;
  while (!bytes.empty()) {
    Decoder in(bytes);
    uint8_t path_bytes = 0;
    if (!in.Fixed(&path_bytes) || in.rest().size() < path_bytes) break;
    const std::string path(in.rest().substr(0, path_bytes));
    uint32_t length = 0;
    if (!in.Skip(path_bytes) || !in.Fixed(&length)) break;
    files[path] = in.rest().substr(0, length);
    bytes = in.rest().substr(std::min<size_t>(length, in.rest().size()));
  }
  return files;
}

void WriteFile(const std::string& path, std::string_view bytes, FileSystem* fs) {
  auto file = fs->CreateWritable(path);
  if (!file.ok()) return;
  static_cast<void>((*file)->Append(bytes).ok() && (*file)->Close().ok());
}

void WriteFiles(const Archive& files, const std::string& directory, FileSystem* fs) {
  for (const std::string& folder : {directory, directory + "/wal", directory + "/sst"}) {
    static_cast<void>(fs->CreateDirectory(folder).ok());
  }
  for (const auto& [path, bytes] : files) WriteFile(directory + "/" + path, bytes, fs);
}

}  // namespace marble::fuzz

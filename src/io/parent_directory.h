// Paths by their letters.
#pragma once

#include <string>

namespace marble {

/// The directory that holds `path`: "." of a name alone, "/" of what is topmost, "/" itself
/// included. Slashes at the end do not count.
inline std::string ParentDirectory(const std::string& path) {
  const size_t last = path.find_last_not_of('/');
  if (last == std::string::npos) return path.empty() ? "." : "/";
  const size_t slash = path.find_last_of('/', last);
  if (slash == std::string::npos) return ".";
  const size_t end = path.find_last_not_of('/', slash);
  return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

}  // namespace marble

#include "io/lock_owner.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include <marble/error.h>

namespace marble {

std::string LockOwnerText() {
  char host[HOST_NAME_MAX + 1] = {};
  if (::gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0') host[0] = '?';
  return std::to_string(::getpid()) + " " + host + "\n";
}

arrow::Status LockedBy(const std::string& path, std::string_view owner) {
  owner = owner.substr(0, owner.find('\n'));
  const size_t space = owner.find(' ');
  const std::string_view pid = owner.substr(0, space);
  const auto is_digit = [](unsigned char c) { return std::isdigit(c) != 0; };
  const auto is_printable = [](unsigned char c) { return std::isgraph(c) != 0; };
  // The owner writes its name just after it has the lock, so the text may be missing, torn, or that
  // of the owner before.
  if (space == std::string_view::npos || pid.empty() ||
      !std::all_of(pid.begin(), pid.end(), is_digit)) {
    return LockedError(path + " is locked by another process, which has not yet written its name");
  }
  const std::string_view host = owner.substr(space + 1);
  const bool host_known = !host.empty() && std::all_of(host.begin(), host.end(), is_printable);
  return LockedError(path + " is locked by process " + std::string(pid) + " on host " +
                     (host_known ? std::string(host) : "(unknown)"));
}

}  // namespace marble

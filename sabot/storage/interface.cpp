// Status texts, and the choice of a backend by name.
#include "sabot/storage/interface.h"

#include "sabot/storage/marbledb_backend.h"
#include "sabot/storage/memory_backend.h"

namespace sabot::storage {

const char* ToString(StatusCode code) {
  switch (code) {
    case StatusCode::OK:
      return "OK";
    case StatusCode::NotFound:
      return "NotFound";
    case StatusCode::InvalidArgument:
      return "InvalidArgument";
    case StatusCode::IOError:
      return "IOError";
    case StatusCode::NotSupported:
      return "NotSupported";
    case StatusCode::InternalError:
      return "InternalError";
    case StatusCode::Corruption:
      return "Corruption";
    case StatusCode::Conflict:
      return "Conflict";
    case StatusCode::Busy:
      return "Busy";
    case StatusCode::AlreadyExists:
      return "AlreadyExists";
    case StatusCode::Closed:
      return "Closed";
  }
  return "Unknown";
}

std::string Status::ToString() const {
  std::string text = storage::ToString(code_);
  if (!message_.empty()) text += ": " + message_;
  return text;
}

std::unique_ptr<StateBackend> CreateStateBackend(const std::string& type) {
  if (type.empty() || type == "marbledb") return std::make_unique<MarbleDbStateBackend>();
  if (type == "memory") return std::make_unique<MemoryStateBackend>();
  return nullptr;
}

std::unique_ptr<StoreBackend> CreateStoreBackend(const std::string& type) {
  if (type.empty() || type == "marbledb") return std::make_unique<MarbleDbStoreBackend>();
  if (type == "memory") return std::make_unique<MemoryStoreBackend>();
  return nullptr;
}

}  // namespace sabot::storage

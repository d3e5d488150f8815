#include "db/finding_text.h"

namespace marble {

const char* NameOf(FindingKind kind) {
  switch (kind) {
    case FindingKind::kMissing:
      return "missing";
    case FindingKind::kWrongSize:
      return "wrong size";
    case FindingKind::kCorrupt:
      return "corrupt";
    case FindingKind::kIncompatible:
      return "incompatible format";
    case FindingKind::kUnreadable:
      return "unreadable";
    case FindingKind::kStray:
      return "stray";
    case FindingKind::kCutTail:
      return "cut tail";
  }
  return "unknown";
}

Document FindingsDocument(const std::vector<Finding>& findings) {
  Document out = Document::Array();
  for (const Finding& finding : findings) {
    Document item = Document::Object();
    item.Add("kind", NameOf(finding.kind));
    item.Add("damage", finding.is_damage());
    item.Add("file", finding.file);
    if (finding.offset >= 0) item.Add("offset", finding.offset);
    item.Add("what", finding.what);
    if (!finding.table.empty()) item.Add("table", finding.table);
    if (!finding.first_key.empty()) item.Add("first_key", finding.first_key);
    if (!finding.last_key.empty()) item.Add("last_key", finding.last_key);
    if (finding.rows >= 0) item.Add("rows", finding.rows);
    out.Append(std::move(item));
  }
  return out;
}

}  // namespace marble

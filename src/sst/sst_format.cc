#include "sst/sst_format.h"

#include <charconv>
#include <limits>

#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include "row/row_kind.h"

namespace marble {

namespace {

// Arrow writes a marker of the stream's end before the footer.
constexpr int64_t kEndOfStreamBytes = 8;

std::string_view TakeUntil(char separator, std::string_view* text) {
  const size_t at = text->find(separator);
  if (at == std::string_view::npos) {
    const std::string_view all = *text;
    *text = {};
    return all;
  }
  const std::string_view head = text->substr(0, at);
  text->remove_prefix(at + 1);
  return head;
}

std::shared_ptr<arrow::Field> HiddenField(const char* name,
                                          const std::shared_ptr<arrow::DataType>& type,
                                          const char* meaning) {
  return arrow::field(name, type, /*nullable=*/false,
                      arrow::key_value_metadata({kMetadataHidden}, {meaning}));
}

}  // namespace

std::optional<uint64_t> ParseDecimal(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (text.empty() || result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

std::string EncodeSectionDirectory(const SectionDirectory& directory) {
  std::string text;
  for (const auto& [name, location] : directory) {
    text +=
        name + ":" + std::to_string(location.offset) + ":" + std::to_string(location.length) + ";";
  }
  return text;
}

arrow::Result<SectionDirectory> DecodeSectionDirectory(std::string_view text) {
  SectionDirectory directory;
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  while (!text.empty()) {
    std::string_view item = TakeUntil(';', &text);
    const std::string_view name = TakeUntil(':', &item);
    const auto offset = ParseDecimal(TakeUntil(':', &item));
    const auto length = ParseDecimal(item);
    if (name.empty() || !offset || !length || *offset > kMax || *length > kMax - *offset) {
      return arrow::Status::Invalid("bad section directory");
    }
    const SectionLocation location{static_cast<int64_t>(*offset), static_cast<int64_t>(*length)};
    if (!directory.emplace(name, location).second) {
      return arrow::Status::Invalid("section '", name, "' stands twice in the directory");
    }
  }
  return directory;
}

std::optional<int64_t> TailStart(int64_t size, int64_t footer_length) {
  if (footer_length <= 0 || footer_length > size - kIpcTrailerBytes - kEndOfStreamBytes) {
    return std::nullopt;
  }
  const int64_t end = size - kIpcTrailerBytes - footer_length - kEndOfStreamBytes;
  // With n pages the section starts at end - 8n, and n must be the pages of that many bytes. The
  // one candidate is the number of (page + its checksum) pairs in `end`, rounded up.
  const int64_t pages = (end + kSstPageBytes + 7) / (kSstPageBytes + 8);
  const int64_t start = end - 8 * pages;
  if (start <= 0 || start % kSstSectionAlignment != 0) return std::nullopt;
  if ((start + kSstPageBytes - 1) / kSstPageBytes != pages) return std::nullopt;
  return start;
}

std::shared_ptr<arrow::Schema> SstFileSchema(const arrow::Schema& stored, bool with_sequence,
                                             bool with_kind) {
  arrow::FieldVector fields = stored.fields();
  if (with_sequence) fields.push_back(HiddenField(kSequenceColumn, arrow::uint64(), "sequence"));
  if (with_kind) fields.push_back(HiddenField(kKindColumn, arrow::uint8(), "kind"));
  return arrow::schema(std::move(fields), stored.metadata());
}

}  // namespace marble

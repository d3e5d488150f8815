// Bytes of a manifest, of CURRENT, or of one edit, told apart by how they begin: their readers, and
// what is made of the tables they speak of.

#include "base/coding.h"
#include "base/uuid.h"
#include "fuzz/archive.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/seal.h"
#include "io/memory_file_system.h"
#include "tree/file_names.h"
#include "tree/manifest.h"
#include "tree/table_schemas.h"

namespace marble::fuzz {

namespace {

constexpr size_t kNumberAt = 32;
constexpr uint64_t kNumberMax = 1000000;

void UseTables(const ManifestState& state) {
  for (const auto& [id, table] : state.tables) {
    const auto schemas = TableSchemas::Make(table.record);
    if (!schemas.ok()) continue;
    FailUnless(schemas->current() != nullptr, "a table without a schema");
    for (const auto& [number, file] : table.files) {
      static_cast<void>(schemas->Find(file.meta.schema_version));
    }
  }
}

/// An edit that was read is written and read again.
void CheckEdit(std::string_view bytes) {
  const auto edit = DecodeVersionEdit(bytes);
  if (!edit.ok()) return;
  const std::string written = EncodeVersionEdit(*edit);
  const auto again = DecodeVersionEdit(written);
  FailUnlessOk(again.status(), "reading an edit that was written");
  FailUnless(EncodeVersionEdit(*again) == written, "an edit changes by being written");
  ManifestState state;
  if (state.Apply(*edit).ok()) UseTables(state);
}

void CheckManifest(std::string_view bytes) {
  MemoryFileSystem fs;
  uint64_t number = bytes.size() < 64 ? 1 : LoadLittle<uint64_t>(bytes.data() + kNumberAt);
  number = number > kNumberMax ? 1 : number;
  WriteFile(ManifestPath("", number), bytes, &fs);
  const auto contents = ReadManifest(&fs, "", number, nullptr);
  if (!contents.ok()) return;
  UseTables(contents->state);
  if (!contents->status.ok()) return;
  CurrentContents current;
  current.manifest = number;
  current.uuid_hex = ToHex(contents->state.uuid);
  WriteFile(CurrentPath(""), EncodeCurrent(current), &fs);
  FailUnlessOk(Manifest::Load(&fs, "").status(), "loading a manifest that was read");
  // What it says in one edit says the same.
  ManifestState state;
  FailUnlessOk(state.Apply(contents->state.AsEdit()), "the sum of the edits");
  FailUnless(EncodeVersionEdit(state.AsEdit()) == EncodeVersionEdit(contents->state.AsEdit()),
             "the sum of the edits is another one");
}

void CheckCurrent(std::string_view text) {
  const auto current = DecodeCurrent(text, "CURRENT");
  if (!current.ok()) return;
  FailUnless(EncodeCurrent(*current) == text, "CURRENT changes by being written");
}

}  // namespace

const int kSecondsMax = 1;

void Reseal(std::string* input) {
  if (input->starts_with("MRBL")) {
    SealLog(input);
  } else if (input->starts_with("MANIFEST")) {
    SealCurrent(0, input);
  }
}

}  // namespace marble::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.starts_with("MRBL")) {
    marble::fuzz::CheckManifest(bytes);
  } else if (bytes.starts_with("MANIFEST")) {
    marble::fuzz::CheckCurrent(bytes);
  } else {
    marble::fuzz::CheckEdit(bytes);
  }
  return 0;
}

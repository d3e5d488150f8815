// Writes the golden database: make_golden DIRECTORY. Run by tools/make_golden.sh.

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "support/golden_content.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_golden DIRECTORY\n");
    return 2;
  }
  const auto files = marble::test::MakeGoldenDatabase();
  if (!files.ok()) {
    std::fprintf(stderr, "%s\n", files.status().ToString().c_str());
    return 1;
  }
  const std::filesystem::path root = argv[1];
  std::filesystem::remove_all(root);
  for (const auto& [path, bytes] : *files) {
    const std::filesystem::path to = root / path.substr(4);  // behind "/db/"
    std::filesystem::create_directories(to.parent_path());
    std::ofstream(to, std::ios::binary) << bytes;
  }
  std::printf("%zu files in %s\n", files->size(), argv[1]);
  return 0;
}

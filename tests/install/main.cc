// An outside project's first program with the installed library: puts, closes, opens, gets.
#include <filesystem>
#include <iostream>

#include <marble/database.h>
#include <marble/key_value.h>

namespace {

arrow::Status Run(const std::string& path) {
  std::filesystem::remove_all(path);
  {
    ARROW_ASSIGN_OR_RAISE(auto database, marble::Database::Open(path));
    ARROW_ASSIGN_OR_RAISE(auto pairs, marble::KeyValue::Open(database));
    ARROW_RETURN_NOT_OK(pairs->Put("user:1", "Ada"));
    ARROW_RETURN_NOT_OK(database->Close());
  }
  ARROW_ASSIGN_OR_RAISE(auto database, marble::Database::Open(path));
  ARROW_ASSIGN_OR_RAISE(auto pairs, marble::KeyValue::Open(database));
  ARROW_ASSIGN_OR_RAISE(const auto value, pairs->Get("user:1"));
  if (value != "Ada") return arrow::Status::Invalid("the value is gone");
  return database->Close();
}

}  // namespace

int main(int argc, char** argv) {
  const arrow::Status status = Run(argc > 1 ? argv[1] : "database");
  std::cout << status.ToString() << std::endl;
  return status.ok() ? 0 : 1;
}

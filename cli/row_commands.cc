// head: the first rows of a table.

#include "command.h"
#include "output.h"

namespace marble::cli {
namespace {

struct HeadOptions {
  int64_t rows = 10;
  std::vector<std::string> columns;
  bool json = false;
};

arrow::Status Head(const Place& place, const HeadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(auto table, OpenTable(place));
  ScanOptions scan;
  scan.limit = options.rows;
  if (!options.columns.empty()) scan.columns = options.columns;
  ARROW_ASSIGN_OR_RAISE(auto reader, table->Scan(scan));
  const auto& fields = reader->schema()->fields();
  std::vector<std::string> head;
  for (const auto& field : fields) head.push_back(ShownText(field->name()));
  TextTable text(std::move(head));
  std::vector<std::string> objects;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (batch == nullptr) break;
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      JsonObject object;
      std::vector<std::string> cells;
      for (int column = 0; column < batch->num_columns(); ++column) {
        ARROW_ASSIGN_OR_RAISE(auto value, batch->column(column)->GetScalar(row));
        if (options.json) {
          object.AddJson(fields[static_cast<size_t>(column)]->name(), JsonValue(*value));
        } else {
          cells.push_back(ShownValue(*value));
        }
      }
      if (options.json) {
        objects.push_back(object.Text());
      } else {
        text.Add(std::move(cells));
      }
    }
  }
  if (options.json) {
    PrintLine(JsonArray(objects));
  } else {
    text.Print();
  }
  return arrow::Status::OK();
}

}  // namespace

void AddRowCommands(CLI::App* app, Chosen* chosen) {
  auto options = std::make_shared<HeadOptions>();
  CLI::App* head = app->add_subcommand("head", "Shows the first rows of a table");
  auto place = AddPlace(head, /*with_table=*/true);
  head->add_option("-n", options->rows, "How many")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  head->add_option("--columns", options->columns, "Only these, e.g. id,name")->delimiter(',');
  head->add_flag("--json", options->json, "As a JSON array of objects");
  head->callback([=] { *chosen = [=] { return Head(*place, *options); }; });
}

}  // namespace marble::cli

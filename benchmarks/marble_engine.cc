#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <span>

#include <marble/key_value.h>

#include "key_value_engine.h"

namespace marble::benchmark {

void Die(const std::string& what) {
  std::fprintf(stderr, "benchmark: %s\n", what.c_str());
  std::exit(1);
}

uint64_t Scatter(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ull;
  return x ^ (x >> 33);
}

std::string KeyOf(uint64_t i) {
  static constexpr char kDigits[] = "0123456789abcdef";
  uint64_t bits = Scatter(i + 1);
  std::string key(16, '0');
  for (char& c : key) {
    c = kDigits[bits & 15];
    bits >>= 4;
  }
  return key;
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

namespace {

void Check(const arrow::Status& status) {
  if (!status.ok()) Die("marble: " + status.ToString());
}

template <typename T>
T Check(arrow::Result<T> result) {
  Check(result.status());
  return std::move(result).ValueUnsafe();
}

class MarbleEngine : public KeyValueEngine {
 public:
  explicit MarbleEngine(const std::string& directory)
      : database_(Check(Database::Open(directory))), kv_(Check(KeyValue::Open(database_))) {}

  std::string name() const override { return "marble"; }
  void Put(std::string_view key, std::string_view value) override { Check(kv_->Put(key, value)); }
  bool Get(std::string_view key, std::string* value) override {
    return Check(kv_->Get(key, value));
  }
  int64_t MultiGet(const std::vector<std::string_view>& keys) override {
    int64_t found = 0;
    for (const auto& value : Check(kv_->MultiGet(keys))) found += value.has_value() ? 1 : 0;
    return found;
  }
  int64_t Scan() override {
    auto iterator = Check(kv_->NewIterator());
    int64_t bytes = 0;
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      bytes += static_cast<int64_t>(iterator->key().size() + iterator->value().size());
    }
    Check(iterator->status());
    return bytes;
  }
  void Settle() override {
    Check(database_->Flush());
    Check(database_->WaitForBackground());
  }
  void Compact() override { Check(database_->Compact("default")); }

 private:
  std::shared_ptr<Database> database_;
  std::shared_ptr<KeyValue> kv_;
};

}  // namespace

std::unique_ptr<KeyValueEngine> OpenMarble(const std::string& directory) {
  return std::make_unique<MarbleEngine>(directory);
}

}  // namespace marble::benchmark

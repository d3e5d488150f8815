#include "data.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace marble::benchmark {
namespace {

/// Two hexadecimal digits for each byte.
constexpr auto kHex = [] {
  std::array<std::array<char, 2>, 256> table{};
  constexpr char kDigits[] = "0123456789abcdef";
  for (size_t i = 0; i < table.size(); ++i) table[i] = {kDigits[i >> 4], kDigits[i & 15]};
  return table;
}();

/// In ASCII order, so that a number's characters sort as the number does.
constexpr char kCharacters[] = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// Numbers in [0, 1).
double Fraction(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

constexpr double kZipfExponent = 0.99;

/// The sum of 1 / k^0.99 for k in 1..n; beyond a million by its integral.
double Zeta(uint64_t n) {
  constexpr uint64_t kExact = 1'000'000;
  double sum = 0;
  for (uint64_t k = 1; k <= std::min(n, kExact); ++k) {
    sum += std::pow(static_cast<double>(k), -kZipfExponent);
  }
  if (n > kExact) {
    const double power = 1 - kZipfExponent;
    sum += (std::pow(static_cast<double>(n) + 0.5, power) -
            std::pow(static_cast<double>(kExact) + 0.5, power)) /
           power;
  }
  return sum;
}

}  // namespace

std::string_view Keys::Fixed(uint64_t bits, char* buffer) {
  for (int i = 0; i < 8; ++i) {
    std::memcpy(buffer + 2 * i, kHex[(bits >> (56 - 8 * i)) & 255].data(), 2);
  }
  return {buffer, 16};
}

std::string_view Keys::Mixed(uint64_t row, char* buffer) {
  const size_t size = MixedSize(row);
  uint64_t bits = HeadOf(row);
  for (size_t at = 0; at < size; at += 8, bits = Scatter(bits)) {
    for (size_t i = 0; i < 8; ++i) buffer[at + i] = kCharacters[(bits >> (58 - 6 * i)) & 63];
  }
  return {buffer, size};
}

std::string_view Keys::Ascending(uint64_t row, char* buffer) const {
  if (shape_ == KeyShape::kFixed16) return Fixed(row, buffer);
  const std::string_view key = Mixed(row, buffer);
  for (size_t i = 0; i < 8; ++i) buffer[i] = kCharacters[(row >> (42 - 6 * i)) & 63];
  return key;
}

Values::Values(int64_t bytes) : bytes_(static_cast<size_t>(bytes)) {
  // Pieces of 100 bytes, each of 50 random ones twice.
  const size_t size = kPoolMask + 1 + bytes_;
  uint64_t state = 1;
  while (pool_.size() < size) {
    std::string piece;
    while (piece.size() < 50) {
      state = Scatter(state + 1);
      piece.push_back(static_cast<char>(state & 255));
    }
    pool_ += piece + piece;
  }
}

std::vector<uint32_t> UniformRows(uint64_t rows, uint64_t count, uint64_t seed) {
  std::vector<uint32_t> order(count);
  for (uint64_t i = 0; i < count; ++i) {
    order[i] = static_cast<uint32_t>(UniformRow(rows, i, seed));
  }
  return order;
}

std::vector<uint32_t> ZipfRanks(uint64_t rows, uint64_t count, uint64_t seed) {
  // J. Gray et al., "Quickly generating billion-record synthetic databases", as YCSB has it.
  const auto n = static_cast<double>(rows);
  const double zeta = Zeta(rows);
  const double alpha = 1 / (1 - kZipfExponent);
  const double eta = (1 - std::pow(2 / n, 1 - kZipfExponent)) / (1 - Zeta(2) / zeta);
  std::vector<uint32_t> ranks(count);
  for (uint64_t i = 0; i < count; ++i) {
    const double u = Fraction(Scatter(i + (seed << 32)));
    double rank = n * std::pow(eta * u - eta + 1, alpha);
    if (u * zeta < 1) {
      rank = 0;
    } else if (u * zeta < 1 + std::pow(0.5, kZipfExponent)) {
      rank = 1;
    }
    ranks[i] = static_cast<uint32_t>(std::min(rank, n - 1));
  }
  return ranks;
}

std::vector<uint32_t> ZipfRows(uint64_t rows, uint64_t count, uint64_t seed) {
  std::vector<uint32_t> order = ZipfRanks(rows, count, seed);
  for (uint32_t& row : order) row = static_cast<uint32_t>(Scatter(row) % rows);
  return order;
}

}  // namespace marble::benchmark

#include "error.hpp"

#include <cmath>
#include <cstdio>

namespace dts {

namespace {

constexpr std::size_t kMostShown = 120;  // of a value: a message never shows it longer than a line

std::string shown(const std::string& got) {
  if (got.size() <= kMostShown) return got;
  std::size_t end = 100;
  while (end > 0 && (static_cast<unsigned char>(got[end]) & 0xC0) == 0x80) --end;  // between two characters
  return got.substr(0, end) + "... (" + std::to_string(got.size()) + " bytes)";
}

}  // namespace

std::string describe(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& v : violations) {
    if (!text.empty()) text += "\n";
    text += v.where + ": got " + shown(v.got) + ", expected " + v.expected;
    if (!v.fix.empty()) text += "; " + v.fix;
  }
  return text;
}

std::string number_text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.6g", value);
  return buffer;
}

void Checker::fail(std::string where, std::string got, std::string expected, std::string fix) {
  ok_ = false;
  if (keeps_) violations_.push_back({std::move(where), std::move(got), std::move(expected), std::move(fix)});
}

bool Checker::require(bool ok, const std::string& where, const std::string& got, const std::string& expected,
                      const std::string& fix) {
  if (!ok) fail(where, got, expected, fix);
  return ok;
}

bool Checker::positive(const std::string& where, double value) {
  return require(std::isfinite(value) && value > 0,
                 [&] { return Violation{where, number_text(value), "a finite number > 0", ""}; });
}

bool Checker::non_negative(const std::string& where, double value) {
  return require(std::isfinite(value) && value >= 0,
                 [&] { return Violation{where, number_text(value), "a finite number >= 0", ""}; });
}

bool Checker::at_least(const std::string& where, long long value, long long minimum) {
  return require(value >= minimum, [&] {
    return Violation{where, std::to_string(value), "an integer >= " + std::to_string(minimum), ""};
  });
}

void Checker::throw_if_any() const {
  if (!ok_) throw ConfigError(violations_);
}

}  // namespace dts

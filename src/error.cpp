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

bool Checker::require(bool ok, std::string_view where, std::string_view got, std::string_view expected,
                      std::string_view fix) {
  return require(
      ok, [&] { return Violation{std::string(where), std::string(got), std::string(expected), std::string(fix)}; });
}

bool Checker::positive(std::string_view where, double value) {
  return require(std::isfinite(value) && value > 0,
                 [&] { return Violation{std::string(where), number_text(value), "a finite number > 0", ""}; });
}

bool Checker::non_negative(std::string_view where, double value) {
  return require(std::isfinite(value) && value >= 0,
                 [&] { return Violation{std::string(where), number_text(value), "a finite number >= 0", ""}; });
}

bool Checker::at_least(std::string_view where, long long value, long long minimum) {
  return require(value >= minimum, [&] {
    return Violation{std::string(where), std::to_string(value), "an integer >= " + std::to_string(minimum), ""};
  });
}

void Checker::throw_if_any() const {
  if (!ok_) throw ConfigError(violations_);
}

}  // namespace dts

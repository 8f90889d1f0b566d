// Text of JSON (RFC 8259): what a writer of many small objects needs.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <utility>

namespace dts {

class TextWriter {
 public:
  TextWriter& raw(const char* text) {
    bytes_ += text;
    return *this;
  }
  TextWriter& number(std::int64_t value) {
    char digits[24];
    bytes_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
    return *this;
  }
  // Thousandths, as a decimal fraction: exact where a double is not.
  TextWriter& thousandths(std::int64_t value) {
    const bool negative = value < 0;
    if (negative) bytes_ += '-', value = -value;
    number(value / 1000);
    const auto rest = static_cast<int>(value % 1000);
    const char digits[] = {'.', static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10),
                           static_cast<char>('0' + rest % 10)};
    bytes_.append(digits, 4);
    return *this;
  }
  TextWriter& text(const std::string& value) {
    bytes_ += '"';
    for (const char c : value) {
      const auto code = static_cast<unsigned char>(c);
      if (code < 0x20) {
        constexpr char kHex[] = "0123456789abcdef";
        bytes_ += "\\u00";
        bytes_ += kHex[code >> 4];
        bytes_ += kHex[code & 15];
        continue;
      }
      if (c == '"' || c == '\\') bytes_ += '\\';
      bytes_ += c;
    }
    bytes_ += '"';
    return *this;
  }
  void reserve(std::size_t size) { bytes_.reserve(size); }
  std::string take() && { return std::move(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace dts

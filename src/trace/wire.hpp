// Protobuf's wire format (https://protobuf.dev/programming-guides/encoding): what a writer of small messages needs.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace dts {

class Wire {
 public:
  void number(int field, std::uint64_t value) {
    varint(static_cast<std::uint64_t>(field) << 3);
    varint(value);
  }
  void fixed64(int field, std::uint64_t value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 1);
    for (int i = 0; i < 8; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  }
  void real(int field, double value) {
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    fixed64(field, bits);
  }
  void text(int field, const std::string& value) { message(field, value); }
  void message(int field, const std::string& inside) {
    varint(static_cast<std::uint64_t>(field) << 3 | 2);
    varint(inside.size());
    bytes_ += inside;
  }
  const std::string& bytes() const noexcept { return bytes_; }
  std::string take() && { return std::move(bytes_); }
  void clear() noexcept { bytes_.clear(); }
  void reserve(std::size_t size) { bytes_.reserve(size); }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

}  // namespace dts

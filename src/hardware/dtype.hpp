// Number formats that a device can compute in.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace dts {

enum class DType { FP64, FP32, TF32, FP16, BF16, FP8, FP4, INT8 };
inline constexpr std::size_t kDTypeCount = 8;

inline constexpr std::array<std::string_view, kDTypeCount> kDTypeNames = {"fp64", "fp32", "tf32", "fp16",
                                                                          "bf16", "fp8",  "fp4",  "int8"};
// Storage bytes per element; tf32 is stored as fp32.
inline constexpr std::array<double, kDTypeCount> kDTypeBytes = {8, 4, 4, 2, 2, 1, 0.5, 1};

constexpr std::size_t index_of(DType t) noexcept { return static_cast<std::size_t>(t); }
constexpr std::string_view name_of(DType t) noexcept { return kDTypeNames[index_of(t)]; }
constexpr double bytes_of(DType t) noexcept { return kDTypeBytes[index_of(t)]; }

}  // namespace dts

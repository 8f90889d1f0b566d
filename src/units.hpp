// Inside the core every quantity is SI: seconds, bytes, FLOP, bytes per second. Names end in their unit.
#pragma once

namespace dts {

inline constexpr double kKilo = 1e3, kMega = 1e6, kGiga = 1e9, kTera = 1e12, kPeta = 1e15;
inline constexpr double kKiB = 1024.0, kMiB = kKiB * 1024.0, kGiB = kMiB * 1024.0;
inline constexpr double kMilli = 1e-3, kMicro = 1e-6, kNano = 1e-9;

}  // namespace dts

// A quantity of one rank, or of the network, over time, beside the events.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dts {

inline constexpr std::int32_t kNetwork = -1;  // in the place of a rank

struct TraceCounter {
  std::int32_t rank = 0;
  std::string name, unit;
  std::vector<double> time_s, value;
};

}  // namespace dts

// A quantity of one rank over time, beside its events.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dts {

struct TraceCounter {
  std::int32_t rank = 0;
  std::string name, unit;
  std::vector<double> time_s, value;
};

}  // namespace dts

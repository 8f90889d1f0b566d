// A user's own order as text, one per pipeline rank: passes divided by spaces, each a kind, a micro-batch and, after a
// dot, a chunk (0 if left out):
//   F3.1   forward
//   B3.1   backward; only its input gradient if the same rank also lists W3.1
//   W3.1   weight gradient
//   F4+B3  a forward that runs overlapped with a backward
#pragma once

#include <string>

#include "schedule/pass.hpp"

namespace dts {

// Throws ConfigError naming the rank and each word that is not a pass. Whether the order can run: check_order.
PipelineOrder parse_order(const std::vector<std::string>& ranks);

}  // namespace dts

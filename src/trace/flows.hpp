// Which events a flow joins: a transfer and the pass that reads what was sent.
#pragma once

#include <cstdint>
#include <vector>

#include "step/account/step_events.hpp"

namespace dts {

struct EventFlows {
  std::vector<std::uint32_t> leaves, arrives;  // per event: number of the flow that begins, or ends, here; 0 = none
};

EventFlows flows_of(const EventTable& events);

}  // namespace dts

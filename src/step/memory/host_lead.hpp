// How far the host is ahead of the device pass by pass, which decides when memory that communication streams have read
// returns to the allocator (PyTorch's record_stream).
//   one stage      nothing makes the host wait within a step: it fills the device's launch queue
//   several        it waits for each tensor it receives and so for all that the device had to do. The first stage
//                  receives nothing before its first backward; what it issues behind its second send, which the next
//                  stage takes only when it is done with its first forward, waits in the queue.
#pragma once

#include <vector>

#include "parallel/profile.hpp"
#include "schedule/rank_tape.hpp"

namespace dts {

// Of each pass of pipeline rank `rank` of `ranks`; empty where the profile does not model it.
std::vector<HostLead> host_lead(const FrameworkProfile& profile, const std::vector<Pass>& passes, int rank, int ranks);

}  // namespace dts

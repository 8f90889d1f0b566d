#include "step/memory/host_lead.hpp"

namespace dts {

std::vector<HostLead> host_lead(const FrameworkProfile& profile, const std::vector<Pass>& passes, int rank, int ranks) {
  if (profile.queue_forward_per_op <= 0 && profile.queue_backward_per_op <= 0) return {};
  if (ranks == 1) return std::vector<HostLead>(passes.size(), {false, true});
  std::vector<HostLead> leads;
  int forwards = 0;
  bool backward_begun = false;
  for (const Pass& pass : passes) {
    const bool forward = pass.kind == PassKind::Forward;
    backward_begun |= !forward;
    HostLead lead;
    lead.waits = forward ? rank > 0 : rank + 1 < ranks;
    lead.ahead = forward && rank == 0 && !backward_begun && forwards >= 2;
    forwards += forward ? 1 : 0;
    leads.push_back(lead);
  }
  return leads;
}

}  // namespace dts

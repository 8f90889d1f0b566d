// Uses the installed C++ library without Python: the textbook time of a ring all-reduce over eight devices.
#include <cstdio>

#include <dts/communication_model.hpp>
#include <dts/version.hpp>

int main() {
  dts::TopologySpec ring;
  ring.kind = dts::TopologyKind::Ring;
  ring.nodes = 8;
  ring.inter = {50e9, 5e-6};  // bytes/s, seconds
  const dts::CommunicationModel model{dts::Topology{ring}};
  const dts::CollectiveCost cost =
      model.collective(dts::CollectiveKind::AllReduce, 1e9, {0, 1, 2, 3, 4, 5, 6, 7}, {dts::Algorithm::Ring, -1, 0});
  const double closed_form_s = 2 * 7 * 5e-6 + 2 * 7.0 / 8 * 1e9 / 50e9;
  std::printf("dist_training_sim %s: all-reduce of 1 GB in %.3f ms\n", dts::kVersion, cost.time_s * 1e3);
  const double error = cost.time_s / closed_form_s - 1;
  return error < 1e-3 && error > -1e-3 ? 0 : 1;
}

#include "memory/memory_report.hpp"

#include <cmath>

namespace dts {

std::vector<std::pair<std::string, double>> categories(const MemoryReport& r) {
  return {{"weights", r.weights},
          {"gradients", r.gradients},
          {"optimizer", r.optimizer},
          {"activations", r.activations},
          {"temporaries", r.temporaries},
          {"gathered_parameters", r.gathered_parameters},
          {"communication_buffers", r.communication_buffers},
          {"workspace", r.workspace},
          {"context", r.context},
          {"communicators", r.communicator_bytes()},
          {"user_buffers", r.user_buffers}};
}

ReservedFactor measured_reserved_factor(int tp) {
  if (tp <= 1) return {1.01, 1.07, 1.15};
  if (tp < 8) return {1.05, 1.14, 1.28};
  return {1.04, 1.15, 1.73};
}

ReservedBytes reserved_bytes(const MemoryReport& report, const ReservedFactor& factor) {
  const double allocated = report.allocated();
  return {allocated * factor.low, allocated * factor.central, allocated * factor.high};
}

double out_of_memory_probability(double needed_bytes, double room_bytes) {
  if (needed_bytes <= 0) return 0;
  if (room_bytes <= 0) return 1;
  return 1 / (1 + std::exp(-std::log(needed_bytes / room_bytes) / 0.086));
}

FitVerdict fit_verdict(double out_of_memory_probability) {
  return out_of_memory_probability < 0.25  ? FitVerdict::Fits
         : out_of_memory_probability < 0.5 ? FitVerdict::AtRisk
                                           : FitVerdict::DoesNotFit;
}

}  // namespace dts

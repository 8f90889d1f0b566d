#include "memory/memory_report.hpp"

#include <cmath>

namespace dts {

std::vector<std::pair<std::string, double>> categories(const MemoryReport& r) {
  return {{"weights", r.weights},         {"gradients", r.gradients},
          {"optimizer", r.optimizer},     {"activations", r.activations},
          {"temporaries", r.temporaries}, {"gathered_parameters", r.gathered_parameters},
          {"communication_buffers", r.communication_buffers},
          {"workspace", r.workspace},     {"context", r.context}};
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

FitVerdict fit_verdict(double allocated_bytes, double device_bytes) {
  const double share = allocated_bytes / device_bytes;
  return share < 0.76 ? FitVerdict::Fits : share > 0.95 ? FitVerdict::DoesNotFit : FitVerdict::AtRisk;
}

double out_of_memory_probability(double allocated_bytes, double device_bytes) {
  if (allocated_bytes <= 0) return 0;
  const double x = (std::log(allocated_bytes / device_bytes) - std::log(0.786)) / 0.086;
  return 1 / (1 + std::exp(-x));
}

}  // namespace dts

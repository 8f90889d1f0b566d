#include "comm/fabric_rates.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

namespace dts {
namespace {

// Rate of a device in a group of `members`, at most its datasheet rate.
double group_Bps(const ScaleUpSpec& s, int domain, int members, double efficiency) noexcept {
  if (s.group_exponent == 0 || members >= domain) return s.device_Bps * efficiency;
  return s.device_Bps * std::min(1.0, efficiency * std::pow((members - 1.0) / (domain - 1.0), s.group_exponent));
}

// The axes of the slice; when none are given, factors as even as possible, largest first.
std::array<int, 3> torus_shape(const ScaleUpSpec& s, int slice) noexcept {
  if (s.torus_shape[0] > 0) return s.torus_shape;
  std::array<int, 3> shape{slice, 1, 1};
  for (int axis = std::min(s.torus_axes, 3) - 1; axis > 0; --axis) {
    int side = std::max(1, static_cast<int>(std::pow(shape[0], 1.0 / (axis + 1)) + 1e-9));
    while (shape[0] % side != 0) --side;
    shape[static_cast<std::size_t>(axis)] = side;
    shape[0] /= side;
  }
  std::sort(shape.begin(), shape.end(), std::greater<>());
  return shape;
}

}  // namespace

GroupRates rates_of(const ClusterSpec& c, const GroupSpan& span) noexcept {
  const ScaleUpSpec& s = c.node.scale_up;
  const int domain = domain_devices(c);
  GroupRates r;
  r.ranks = span.ranks;
  r.members = span.ranks_per_domain;
  r.domains = span.domains;
  r.levels = std::log2(r.domains);
  if (span.ranks_per_domain > 1) {
    if (s.kind == ScaleUpKind::Torus) {
      const double axes_Bps = torus_part(s, slice_devices(c), span).axes_Bps;
      r.ring_Bps = axes_Bps * s.ring_efficiency;
      r.p2p_Bps = axes_Bps * s.p2p_efficiency;
      r.pair_Bps = s.device_Bps / (2.0 * s.torus_axes) * s.sendrecv_efficiency;  // a neighbour hangs on one link
    } else {
      r.ring_Bps = group_Bps(s, domain, span.ranks_per_domain, s.ring_efficiency);
      r.p2p_Bps = group_Bps(s, domain, span.ranks_per_domain, s.p2p_efficiency);
      r.pair_Bps = group_Bps(s, domain, 2, s.sendrecv_efficiency);
    }
  }
  if (span.domains > 1) {
    r.nic_rank_Bps = c.node.nics * c.node.nic_Bps / c.node.devices * span.nics_alone;
    r.nic_Bps = r.nic_rank_Bps * r.members;
    if (c.scale_out.group_nics > 0) r.nic_Bps = std::min(r.nic_Bps, c.scale_out.group_nics * c.node.nic_Bps);
    if (s.ring_devices > 0) {
      r.nic_Bps = std::min(r.nic_Bps, std::max(1.0, static_cast<double>(domain) / s.ring_devices) * c.node.nic_Bps);
    }
  }
  return r;
}

double simple_start_s(const ScaleUpSpec& s, double steps) noexcept {
  constexpr double kFitted = 14;
  return s.simple_startup_s + s.simple_hop_s * (steps <= kFitted ? steps : std::sqrt(kFitted * steps));
}

TorusPart torus_part(const ScaleUpSpec& s, int slice, const GroupSpan& span) noexcept {
  const double axis_Bps = s.device_Bps / s.torus_axes;
  TorusPart part;
  const auto span_axis = [&](int extent, bool closed) {
    const double rate = closed ? axis_Bps : axis_Bps / 2;
    part.axes_Bps += rate;
    part.hops += closed ? extent / 2 : extent - 1;
    // Bisection of a ring (extent / 8 of the buffer per link) or of a line (extent / 4).
    part.alltoall_s_per_byte = std::max(part.alltoall_s_per_byte, extent / (4 * rate));
  };
  if (span.stride < 1) {  // no known shape: a line
    span_axis(span.ranks_per_domain, false);
    return part;
  }
  int stride = span.stride, left = span.ranks_per_domain;
  for (const int length : torus_shape(s, slice)) {
    if (left <= 1) break;
    if (stride >= length) {
      stride = (stride + length - 1) / length;
      continue;
    }
    const int extent = std::min(left, (length + stride - 1) / stride);
    if (extent > 1) span_axis(extent, extent == length && length >= s.torus_wrap);
    left = (left + extent - 1) / extent;
    stride = 1;
  }
  if (part.hops == 0 && span.ranks_per_domain > 1) span_axis(span.ranks_per_domain, false);
  return part;
}

}  // namespace dts

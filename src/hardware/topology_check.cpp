// Everything a topology spec can get wrong, found before anything is allocated.
#include <cmath>
#include <set>
#include <utility>

#include "error.hpp"
#include "hardware/topology_builders.hpp"

namespace dts {

void check_rate(Checker& check, const std::string& where, const LinkRate& rate) {
  check.positive(where + ".bandwidth", rate.bandwidth_Bps);
  check.non_negative(where + ".latency", rate.latency_s);
}

namespace {

bool is_grid(TopologyKind k) {
  return k == TopologyKind::Mesh2D || k == TopologyKind::Torus2D || k == TopologyKind::Torus3D;
}

void check_dims(Checker& check, const TopologySpec& spec) {
  if (spec.dims.empty()) return;
  if (!check.require(is_grid(spec.kind), "dims", std::to_string(spec.dims.size()) + " dimensions",
                     "none, as only MESH_2D, TORUS_2D and TORUS_3D have dimensions"))
    return;
  const std::size_t wanted = spec.kind == TopologyKind::Torus3D ? 3 : 2;
  check.require(spec.dims.size() == wanted, "dims", std::to_string(spec.dims.size()) + " dimensions",
                std::to_string(wanted) + " dimensions");
  double product = 1;
  std::string text;
  for (int d : spec.dims) {
    check.at_least("dims", d, 1);
    product *= d;
    text += (text.empty() ? "" : " x ") + std::to_string(d);
  }
  check.require(product == spec.nodes, "dims", text, "a product of num_nodes=" + std::to_string(spec.nodes));
}

void check_shape(Checker& check, const TopologySpec& spec) {
  const TopologyKind k = spec.kind;
  const bool leaves = k == TopologyKind::FatTree || k == TopologyKind::RailOptimized;
  check.at_least("radix", spec.radix, 0);
  check.at_least("group_size", spec.group_size, 0);
  check.require(spec.radix == 0 || leaves || k == TopologyKind::Tree || k == TopologyKind::Dragonfly, "radix",
                std::to_string(spec.radix), "none: only TREE, FAT_TREE, RAIL_OPTIMIZED and DRAGONFLY have a radix");
  check.require(spec.group_size == 0 || k == TopologyKind::Dragonfly, "group_size", std::to_string(spec.group_size),
                "none: only DRAGONFLY has groups");
  check.at_least("spines", spec.spines, 0);
  check.require(spec.spines == 0 || leaves, "spines", std::to_string(spec.spines),
                "none: only FAT_TREE and RAIL_OPTIMIZED have spines");
  const double over = spec.oversubscription;
  check.require(std::isfinite(over) && over >= 1, "oversubscription", number_text(over), "a finite number >= 1");
  check.require(over == 1 || leaves, "oversubscription", number_text(over),
                "1: only FAT_TREE and RAIL_OPTIMIZED have leaf uplinks");
}

void check_custom(Checker& check, const TopologySpec& spec) {
  const bool custom = spec.kind == TopologyKind::Custom;
  check.at_least("switches", spec.switches, 0);
  check.require(custom || (spec.links.empty() && spec.switches == 0), "links",
                std::to_string(spec.links.size()) + " links, " + std::to_string(spec.switches) + " switches",
                "none, as only CUSTOM takes explicit links and switches", "use topology=CUSTOM");
  const double ends = static_cast<double>(spec.nodes) + spec.switches;
  std::set<std::pair<int, int>> seen;
  for (std::size_t i = 0; custom && i < spec.links.size() && check.violations().size() < 20; ++i) {
    const Link& link = spec.links[i];
    const std::string where = "links[" + std::to_string(i) + "]";
    const std::string got = std::to_string(link.from) + " -> " + std::to_string(link.to);
    check.require(link.from >= 0 && link.to >= 0 && link.from < ends && link.to < ends, where, got,
                  "ends from 0 to " + number_text(ends - 1) + " (nodes, then switches)");
    check.require(link.from != link.to, where, got, "two different ends", "remove the self-link");
    check.require(seen.insert({link.from, link.to}).second, where, got, "one link per direction and pair",
                  "add the bandwidths up");
    check_rate(check, where, link.rate);
  }
}

// Directed links that the spec would build.
double link_count(const TopologySpec& s) {
  const double n = s.nodes, devices = n * s.devices_per_node, hub = s.devices_per_node > 1 ? 2 * devices : 0;
  switch (s.kind) {
    case TopologyKind::FullyConnected: return hub + n * (n - 1);
    case TopologyKind::Torus3D: return hub + 6 * n;
    case TopologyKind::RailOptimized: return hub + 4 * devices + 2 * devices * s.spines / nodes_per_leaf(s);
    case TopologyKind::Custom: return hub + static_cast<double>(s.links.size());
    case TopologyKind::Dragonfly: {
      const auto [p, a, groups] = dragonfly_shape(s);
      return hub + 2 * n + static_cast<double>(groups) * a * (a - 1.0) + static_cast<double>(groups) * (groups - 1.0);
    }
    case TopologyKind::FatTree: return hub + 4 * n + 2 * (n / nodes_per_leaf(s) + 1) * s.spines;
    default: return hub + 4 * n;
  }
}

}  // namespace

void check_topology(const TopologySpec& spec) {
  Checker check;
  bool counts = check.at_least("num_nodes", spec.nodes, 1);
  counts &= check.at_least("devices_per_node", spec.devices_per_node, 1);
  check_rate(check, "inter-node link", spec.inter);
  check_rate(check, "intra-node link", spec.intra);
  check_shape(check, spec);
  check_dims(check, spec);
  check_custom(check, spec);
  if (counts) {
    const double devices = static_cast<double>(spec.nodes) * spec.devices_per_node;
    const bool small = check.require(devices <= kMaxDevices && spec.switches <= kMaxDevices, "num_nodes",
                                     number_text(devices) + " devices, " + std::to_string(spec.switches) + " switches",
                                     "at most " + std::to_string(kMaxDevices) + " of each");
    if (small && spec.radix >= 0 && spec.group_size >= 0) {
      check.require(link_count(spec) <= kMaxLinks, "num_nodes", number_text(link_count(spec)) + " links",
                    "at most " + number_text(kMaxLinks) + " links", "use fewer nodes or a sparser topology");
    }
  }
  check.throw_if_any();
}

}  // namespace dts

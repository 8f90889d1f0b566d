// CommunicationModel with the topology it owns; the Python class documents and validates.
#include <pybind11/native_enum.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/long_call.hpp"
#include "communication_model.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using dts::Algorithm;
using dts::CollectiveKind;
using dts::CommunicationModel;
using dts::TopologyKind;
using Release = py::call_guard<LongCall>;

namespace {

using LinkTuple = std::tuple<int, int, double, double>;  // from, to, bytes/s, s

std::vector<dts::Link> links_from(const std::vector<LinkTuple>& tuples) {
  std::vector<dts::Link> links;
  links.reserve(tuples.size());
  for (const auto& [from, to, bandwidth_Bps, latency_s] : tuples) {
    links.push_back({from, to, {bandwidth_Bps, latency_s}});
  }
  return links;
}

std::vector<LinkTuple> links_of(const CommunicationModel& model) {
  std::vector<LinkTuple> tuples;
  for (const dts::Link& l : model.topology().links()) {
    tuples.emplace_back(l.from, l.to, l.rate.bandwidth_Bps, l.rate.latency_s);
  }
  return tuples;
}

// A NumPy array that owns the vector: no copy.
py::array_t<double> array_of(std::vector<double> values, std::vector<py::ssize_t> shape) {
  auto owned = std::make_unique<std::vector<double>>(std::move(values));
  double* data = owned->data();
  py::capsule owner(owned.release(), [](void* p) { delete static_cast<std::vector<double>*>(p); });
  return py::array_t<double>(std::move(shape), data, owner);
}

py::tuple traffic(const CommunicationModel& model, CollectiveKind kind, double bytes, const std::vector<int>& ranks,
                  Algorithm algorithm, int root) {
  dts::CollectiveTraffic t;
  {
    const LongCall guard;
    t = model.traffic(kind, bytes, ranks, {algorithm, root, 0});
  }
  const auto links = static_cast<py::ssize_t>(t.link_bytes.size());
  const py::ssize_t devices = model.topology().device_count();
  return py::make_tuple(array_of(std::move(t.pair_bytes), {devices, devices}),
                        array_of(std::move(t.link_bytes), {links}));
}

void bind_enums(py::module_& m) {
  py::native_enum<TopologyKind>(m, "TopologyKind", "enum.Enum")
      .value("RING", TopologyKind::Ring)
      .value("TREE", TopologyKind::Tree)
      .value("FULLY_CONNECTED", TopologyKind::FullyConnected)
      .value("MESH_2D", TopologyKind::Mesh2D)
      .value("TORUS_2D", TopologyKind::Torus2D)
      .value("TORUS_3D", TopologyKind::Torus3D)
      .value("SWITCH", TopologyKind::Switch)
      .value("FAT_TREE", TopologyKind::FatTree)
      .value("RAIL_OPTIMIZED", TopologyKind::RailOptimized)
      .value("DRAGONFLY", TopologyKind::Dragonfly)
      .value("CUSTOM", TopologyKind::Custom)
      .finalize();
  py::native_enum<CollectiveKind>(m, "CollectiveKind", "enum.Enum")
      .value("SEND_RECV", CollectiveKind::SendRecv)
      .value("BROADCAST", CollectiveKind::Broadcast)
      .value("REDUCE", CollectiveKind::Reduce)
      .value("ALL_REDUCE", CollectiveKind::AllReduce)
      .value("REDUCE_SCATTER", CollectiveKind::ReduceScatter)
      .value("ALL_GATHER", CollectiveKind::AllGather)
      .value("GATHER", CollectiveKind::Gather)
      .value("SCATTER", CollectiveKind::Scatter)
      .value("ALL_TO_ALL", CollectiveKind::AllToAll)
      .value("BARRIER", CollectiveKind::Barrier)
      .finalize();
  py::native_enum<Algorithm>(m, "Algorithm", "enum.Enum")
      .value("AUTO", Algorithm::Auto)
      .value("RING", Algorithm::Ring)
      .value("BIDIRECTIONAL_RING", Algorithm::BidirectionalRing)
      .value("RECURSIVE_DOUBLING", Algorithm::RecursiveDoubling)
      .value("RECURSIVE_HALVING", Algorithm::RecursiveHalving)
      .value("TREE", Algorithm::Tree)
      .value("RABENSEIFNER", Algorithm::Rabenseifner)
      .value("DOUBLE_BINARY_TREE", Algorithm::DoubleBinaryTree)
      .value("CHAIN", Algorithm::Chain)
      .value("SCATTER_ALL_GATHER", Algorithm::ScatterAllGather)
      .value("DIRECT", Algorithm::Direct)
      .value("PAIRWISE", Algorithm::Pairwise)
      .value("BRUCK", Algorithm::Bruck)
      .value("DISSEMINATION", Algorithm::Dissemination)
      .value("TORUS_BUCKET", Algorithm::TorusBucket)
      .value("HIERARCHICAL", Algorithm::Hierarchical)
      .finalize();
}

}  // namespace

void bind_communication(py::module_& m) {
  bind_enums(m);
  py::class_<CommunicationModel>(m, "CommunicationModel")
      .def(py::init([](TopologyKind kind, int nodes, int devices_per_node, const std::vector<double>& rates,
                       const std::vector<int>& dims, int radix, int group_size, double oversubscription, int switches,
                       const std::vector<LinkTuple>& links, int spines, double reduce_s_per_byte) {
             const dts::LinkRate inter{rates.at(0), rates.at(1)}, intra{rates.at(2), rates.at(3)};
             const dts::TopologySpec spec{kind,
                                          nodes,
                                          devices_per_node,
                                          inter,
                                          intra,
                                          dims,
                                          radix,
                                          group_size,
                                          oversubscription,
                                          switches,
                                          links_from(links),
                                          spines};
             return CommunicationModel(dts::Topology(spec), reduce_s_per_byte);
           }),
           Release(), "kind"_a, "nodes"_a, "devices_per_node"_a, "rates"_a, "dims"_a, "radix"_a, "group_size"_a,
           "oversubscription"_a, "switches"_a, "links"_a, "spines"_a, "reduce_s_per_byte"_a)
      .def(
          "collective",
          [](const CommunicationModel& model, CollectiveKind kind, double bytes, const std::vector<int>& ranks,
             Algorithm algorithm, int root, int chunks) {
            const dts::CollectiveCost c = model.collective(kind, bytes, ranks, {algorithm, root, chunks});
            return std::make_tuple(c.time_s, c.algorithm, c.bound, c.sent_bytes_per_rank);
          },
          "kind"_a, "bytes"_a, "ranks"_a, "algorithm"_a, "root"_a, "chunks"_a, Release())
      .def(
          "plan",
          [](const CommunicationModel& model, CollectiveKind kind, double bytes, const std::vector<int>& ranks,
             Algorithm algorithm, int root, int chunks) {
            const dts::CollectivePlan p = model.plan(kind, bytes, ranks, {algorithm, root, chunks});
            return std::make_tuple(p.algorithm, p.chunks, p.members, p.dims);
          },
          "kind"_a, "bytes"_a, "ranks"_a, "algorithm"_a, "root"_a, "chunks"_a, Release())
      .def("traffic", &traffic, "kind"_a, "bytes"_a, "ranks"_a, "algorithm"_a, "root"_a)
      .def(
          "with_links",
          [](const CommunicationModel& model, const std::vector<LinkTuple>& changed) {
            return model.with_links(links_from(changed));
          },
          "changed"_a, Release())
      .def("links", &links_of, Release())
      .def(
          "link",
          [](const CommunicationModel& model, int from, int to) {
            const dts::LinkRate rate = model.topology().link(from, to).rate;
            return std::make_tuple(rate.bandwidth_Bps, rate.latency_s);
          },
          "a"_a, "b"_a)
      .def(
          "vertex_name",
          [](const CommunicationModel& model, int vertex) { return model.topology().vertex_name(vertex); }, "vertex"_a);
}

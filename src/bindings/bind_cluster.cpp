// Scale-up and scale-out fabric, node, cluster, and the price of a collective on them.
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/long_call.hpp"
#include "comm/fabric.hpp"
#include "comm/pair_streams.hpp"
#include "comm/span.hpp"
#include "hardware/cluster.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using Release = py::call_guard<LongCall>;

namespace {

void bind_scale_up(py::module_& m) {
  using dts::ScaleUpSpec;
  py::native_enum<dts::ScaleUpKind>(m, "ScaleUpKind", "enum.Enum")
      .value("FLAT", dts::ScaleUpKind::Flat)
      .value("TORUS", dts::ScaleUpKind::Torus)
      .finalize();
  py::class_<ScaleUpSpec>(m, "ScaleUpSpec")
      .def(py::init<>())
      .def_readwrite("name", &ScaleUpSpec::name)
      .def_readwrite("kind", &ScaleUpSpec::kind)
      .def_readwrite("domain_devices", &ScaleUpSpec::domain_devices)
      .def_readwrite("device_Bps", &ScaleUpSpec::device_Bps)
      .def_readwrite("launch_s", &ScaleUpSpec::launch_s)
      .def_readwrite("hop_s", &ScaleUpSpec::hop_s)
      .def_readwrite("ring_efficiency", &ScaleUpSpec::ring_efficiency)
      .def_readwrite("ring_ramp", &ScaleUpSpec::ring_ramp)
      .def_readwrite("ring_ramp_growth", &ScaleUpSpec::ring_ramp_growth)
      .def_readwrite("all_reduce_copy", &ScaleUpSpec::all_reduce_copy)
      .def_readwrite("gather_copy", &ScaleUpSpec::gather_copy)
      .def_readwrite("ring_sms", &ScaleUpSpec::ring_sms)
      .def_readwrite("nvls_min_ranks", &ScaleUpSpec::nvls_min_ranks)
      .def_readwrite("nvls_startup_s", &ScaleUpSpec::nvls_startup_s)
      .def_readwrite("nvls_ramp", &ScaleUpSpec::nvls_ramp)
      .def_readwrite("nvls_efficiency", &ScaleUpSpec::nvls_efficiency)
      .def_readwrite("nvls_tree_efficiency", &ScaleUpSpec::nvls_tree_efficiency)
      .def_readwrite("nvls_sms", &ScaleUpSpec::nvls_sms)
      .def_readwrite("p2p_launch_s", &ScaleUpSpec::p2p_launch_s)
      .def_readwrite("p2p_peer_s", &ScaleUpSpec::p2p_peer_s)
      .def_readwrite("p2p_ramp", &ScaleUpSpec::p2p_ramp)
      .def_readwrite("p2p_efficiency", &ScaleUpSpec::p2p_efficiency)
      .def_readwrite("p2p_copy", &ScaleUpSpec::p2p_copy)
      .def_readwrite("sendrecv_efficiency", &ScaleUpSpec::sendrecv_efficiency)
      .def_readwrite("group_exponent", &ScaleUpSpec::group_exponent)
      .def_readwrite("torus_axes", &ScaleUpSpec::torus_axes)
      .def_readwrite("torus_shape", &ScaleUpSpec::torus_shape)
      .def_readwrite("torus_wrap", &ScaleUpSpec::torus_wrap)
      .def_readwrite("simple_startup_s", &ScaleUpSpec::simple_startup_s)
      .def_readwrite("simple_hop_s", &ScaleUpSpec::simple_hop_s)
      .def_readwrite("ll_efficiency", &ScaleUpSpec::ll_efficiency)
      .def_readwrite("ll128_startup_s", &ScaleUpSpec::ll128_startup_s)
      .def_readwrite("ll128_efficiency", &ScaleUpSpec::ll128_efficiency)
      .def_readwrite("one_shot_launch_s", &ScaleUpSpec::one_shot_launch_s)
      .def_readwrite("one_shot_peer_s", &ScaleUpSpec::one_shot_peer_s)
      .def_readwrite("one_shot_efficiency", &ScaleUpSpec::one_shot_efficiency)
      .def_readwrite("p2p_channels", &ScaleUpSpec::p2p_channels)
      .def_readwrite("p2p_channel_Bps", &ScaleUpSpec::p2p_channel_Bps)
      .def_readwrite("p2p_part_bytes", &ScaleUpSpec::p2p_part_bytes)
      .def_readwrite("ring_devices", &ScaleUpSpec::ring_devices);
}

void bind_scale_out(py::module_& m) {
  using dts::ScaleOutSpec;
  py::class_<ScaleOutSpec>(m, "ScaleOutSpec")
      .def(py::init<>())
      .def_readwrite("name", &ScaleOutSpec::name)
      .def_readwrite("hop_s", &ScaleOutSpec::hop_s)
      .def_readwrite("low_latency_Bps", &ScaleOutSpec::low_latency_Bps)
      .def_readwrite("level_startup_s", &ScaleOutSpec::level_startup_s)
      .def_readwrite("ramp", &ScaleOutSpec::ramp)
      .def_readwrite("ramp_bytes", &ScaleOutSpec::ramp_bytes)
      .def_readwrite("ring_efficiency", &ScaleOutSpec::ring_efficiency)
      .def_readwrite("tree_efficiency", &ScaleOutSpec::tree_efficiency)
      .def_readwrite("group_nics", &ScaleOutSpec::group_nics)
      .def_readwrite("p2p_peer_s", &ScaleOutSpec::p2p_peer_s)
      .def_readwrite("p2p_ramp", &ScaleOutSpec::p2p_ramp)
      .def_readwrite("p2p_efficiency", &ScaleOutSpec::p2p_efficiency)
      .def_readwrite("sendrecv_efficiency", &ScaleOutSpec::sendrecv_efficiency)
      .def_readwrite("ll128_startup_s", &ScaleOutSpec::ll128_startup_s)
      .def_readwrite("ll128_Bps", &ScaleOutSpec::ll128_Bps)
      .def_readwrite("sharp_efficiency", &ScaleOutSpec::sharp_efficiency)
      .def_readwrite("sharp_startup_s", &ScaleOutSpec::sharp_startup_s);
}

void bind_descriptions(py::module_& m) {
  using dts::ClusterSpec;
  using dts::NodeSpec;
  using dts::OtherNodes;
  py::class_<NodeSpec>(m, "NodeSpec")
      .def(py::init<>())
      .def_readwrite("name", &NodeSpec::name)
      .def_readwrite("device", &NodeSpec::device)
      .def_readwrite("devices", &NodeSpec::devices)
      .def_readwrite("scale_up", &NodeSpec::scale_up)
      .def_readwrite("nics", &NodeSpec::nics)
      .def_readwrite("nic_Bps", &NodeSpec::nic_Bps)
      .def_readwrite("host_bytes", &NodeSpec::host_bytes)
      .def_readwrite("host_Bps", &NodeSpec::host_Bps)
      .def_readwrite("host_memory_Bps", &NodeSpec::host_memory_Bps);
  py::class_<OtherNodes>(m, "OtherNodes")
      .def(py::init<>())
      .def_readwrite("node", &OtherNodes::node)
      .def_readwrite("at", &OtherNodes::at);
  py::class_<ClusterSpec>(m, "ClusterSpec")
      .def(py::init<>())
      .def_readwrite("name", &ClusterSpec::name)
      .def_readwrite("node", &ClusterSpec::node)
      .def_readwrite("nodes", &ClusterSpec::nodes)
      .def_readwrite("scale_out", &ClusterSpec::scale_out)
      .def_readwrite("others", &ClusterSpec::others);
  m.def("device_count", &dts::device_count, "cluster"_a);
  m.def("domain_devices", &dts::domain_devices, "cluster"_a);
  m.def("check_cluster", &dts::check_cluster, "cluster"_a);
}

void bind_collective(py::module_& m) {
  using dts::CollectiveCost;
  py::class_<CollectiveCost>(m, "CollectiveCost")
      .def_readonly("time_s", &CollectiveCost::time_s)
      .def_readonly("algorithm", &CollectiveCost::algorithm)
      .def_readonly("protocol", &CollectiveCost::protocol)
      .def_readonly("bound", &CollectiveCost::bound)
      .def_readonly("sent_bytes_per_rank", &CollectiveCost::sent_bytes_per_rank)
      .def_readonly("sms", &CollectiveCost::sms);
}

void bind_group(py::module_& m) {
  using dts::ClusterSpec;
  using dts::GroupSpan;
  py::class_<GroupSpan>(m, "GroupSpan")
      .def(py::init<int, int, int, int>(), "ranks"_a = 1, "ranks_per_domain"_a = 1, "domains"_a = 1, "stride"_a = 1)
      .def_readwrite("ranks", &GroupSpan::ranks)
      .def_readwrite("ranks_per_domain", &GroupSpan::ranks_per_domain)
      .def_readwrite("domains", &GroupSpan::domains)
      .def_readwrite("stride", &GroupSpan::stride)
      .def_readwrite("nics_alone", &GroupSpan::nics_alone);
  m.def("nics_alone", &dts::nics_alone, "cluster"_a, "ranks"_a, "span"_a, Release());
  m.def("nic_ports", &dts::nic_ports, "node"_a);
  m.def(
      "pair_bytes",
      [](const ClusterSpec& cluster, dts::CollectiveKind kind, double bytes, const std::vector<int>& ranks) {
        const auto network = dts::make_interconnect(cluster);
        const dts::RankGroup group = network->group(ranks);
        std::vector<std::tuple<int, int, double>> pairs;
        for (const dts::PairStream& s :
             dts::pair_streams(cluster, {kind, bytes, {}}, group, network->cost(kind, bytes, group))) {
          pairs.emplace_back(s.from, s.to, s.bytes);
        }
        return pairs;
      },
      "cluster"_a, "kind"_a, "bytes"_a, "ranks"_a, Release());
  m.def("span_of", py::overload_cast<const ClusterSpec&, int, int, int>(&dts::span_of), "cluster"_a, "size"_a,
        "stride"_a = 1, "first"_a = 0, Release());
  m.def("span_of_ranks", py::overload_cast<const ClusterSpec&, std::vector<int>>(&dts::span_of), "cluster"_a, "ranks"_a,
        Release());
  m.def("fabric_collective", &dts::fabric_collective, "cluster"_a, "kind"_a, "bytes"_a, "span"_a, Release());
}

}  // namespace

void bind_cluster(py::module_& m) {
  bind_scale_up(m);
  bind_scale_out(m);
  bind_descriptions(m);
  bind_collective(m);
  bind_group(m);
}

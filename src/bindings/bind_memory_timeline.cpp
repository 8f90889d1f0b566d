// Memory over a step's time, and the caching allocator.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/long_call.hpp"
#include "memory/temporaries.hpp"
#include "training_simulator.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace dts;

namespace {

py::array_t<double> times(const MemoryTimeline& t) {
  py::array_t<double> out(static_cast<py::ssize_t>(t.moments.size()));
  double* data = out.mutable_data();
  for (std::size_t i = 0; i < t.moments.size(); ++i) data[i] = t.moments[i].time_s;
  return out;
}

py::array_t<double> bytes(const MemoryTimeline& t) {
  const auto rows = static_cast<py::ssize_t>(t.moments.size()), columns = static_cast<py::ssize_t>(kMemoryCategories);
  py::array_t<double> out({rows, columns});
  double* data = out.mutable_data();
  for (const MemoryMoment& moment : t.moments) data = std::copy(moment.bytes.begin(), moment.bytes.end(), data);
  return out;
}

py::list live(const MemoryTimeline& t) {  // (op, what, category, count, bytes)
  py::list out;
  for (const LiveTensor& l : t.live) {
    out.append(py::make_tuple(l.tensor.op, l.tensor.what, static_cast<int>(l.tensor.category), l.count, l.bytes()));
  }
  return out;
}

std::vector<AllocatorReplay> replays(const ModelSpec& model, const DeviceSpec& device, const Interconnect& network,
                                     const Strategy& strategy, const FrameworkProfile& profile, double seq_len,
                                     const std::vector<DeviceSpec>& other_devices, const HostShare& host,
                                     bool expandable_segments) {
  return allocator_replays({model, device, network, strategy, profile, seq_len, other_devices, kOneKind, host},
                           {expandable_segments, 0});
}

MemoryDetails run(const ModelSpec& model, const DeviceSpec& device, const Interconnect& network,
                  const Strategy& strategy, const FrameworkProfile& profile, double seq_len,
                  const std::vector<DeviceSpec>& other_devices, const HostShare& host, bool expandable_segments,
                  double capacity_bytes) {
  return memory_details({model, device, network, strategy, profile, seq_len, other_devices, kOneKind, host},
                        {expandable_segments, capacity_bytes});
}

}  // namespace

void bind_memory_timeline(py::module_& m) {
  py::class_<MemoryTimeline>(m, "MemoryTimeline")
      .def_property_readonly("time_s", &times)
      .def_property_readonly("bytes", &bytes)
      .def_property_readonly("peak_bytes", [](const MemoryTimeline& t) { return t.peak.total(); })
      .def_property_readonly("peak_categories", [](const MemoryTimeline& t) { return t.peak.bytes; })
      .def_property_readonly("peak_pass", [](const MemoryTimeline& t) { return t.peak.moment.pass; })
      .def_property_readonly("peak_block", [](const MemoryTimeline& t) { return t.peak.moment.block; })
      .def_readonly("peak_time_s", &MemoryTimeline::peak_time_s)
      .def_property_readonly("live", &live);
  py::class_<AllocatorReplay>(m, "AllocatorReplay")
      .def_readonly("peak_allocated_bytes", &AllocatorReplay::peak_allocated_bytes)
      .def_readonly("peak_reserved_bytes", &AllocatorReplay::peak_reserved_bytes)
      .def_readonly("retries", &AllocatorReplay::retries)
      .def_readonly("fits", &AllocatorReplay::fits);
  py::class_<MemoryDetails>(m, "MemoryDetails")
      .def_readonly("timelines", &MemoryDetails::timelines)
      .def_readonly("replays", &MemoryDetails::replays);
  m.def("memory_details", &run, "model"_a, "device"_a, "network"_a, "strategy"_a, "profile"_a, "seq_len"_a,
        "other_devices"_a = std::vector<DeviceSpec>{}, "host"_a = HostShare{}, "expandable_segments"_a = false,
        "capacity_bytes"_a = 0.0, py::call_guard<LongCall>());
  m.def("allocator_replays", &replays, "model"_a, "device"_a, "network"_a, "strategy"_a, "profile"_a, "seq_len"_a,
        "other_devices"_a = std::vector<DeviceSpec>{}, "host"_a = HostShare{}, "expandable_segments"_a = false,
        py::call_guard<LongCall>());
  m.def("torch_workspace_bytes", &torch_workspace_bytes, "hopper_or_later"_a);
  m.def("engine_workspace_bytes", &engine_workspace_bytes, "hopper_or_later"_a);
  m.def("out_of_memory_probability", &out_of_memory_probability, "needed_bytes"_a, "room_bytes"_a);
  m.def(
      "fit_verdict",
      [](double probability) {
        const FitVerdict verdict = fit_verdict(probability);
        return verdict == FitVerdict::Fits ? "fits" : verdict == FitVerdict::AtRisk ? "at risk" : "does not fit";
      },
      "out_of_memory_probability"_a);
  py::class_<CachingAllocator>(m, "CachingAllocator")
      .def(py::init([](bool expandable_segments, double capacity_bytes) {
             return CachingAllocator({expandable_segments, capacity_bytes});
           }),
           "expandable_segments"_a = false, "capacity_bytes"_a = 0.0)
      .def("allocate", &CachingAllocator::allocate, "id"_a, "bytes"_a)
      .def("free", py::overload_cast<std::int64_t>(&CachingAllocator::free), "id"_a)
      .def_property_readonly("allocated_bytes", &CachingAllocator::allocated_bytes)
      .def_property_readonly("reserved_bytes", &CachingAllocator::reserved_bytes)
      .def_property_readonly("peak_allocated_bytes", &CachingAllocator::peak_allocated_bytes)
      .def_property_readonly("peak_reserved_bytes", &CachingAllocator::peak_reserved_bytes)
      .def_property_readonly("retries", &CachingAllocator::retries);
}

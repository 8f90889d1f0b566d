// The façade: one call in, a result out; events cross as arrays.
#include <pybind11/native_enum.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/events.hpp"
#include "bindings/long_call.hpp"
#include "bindings/pickle.hpp"
#include "search/step_draws.hpp"
#include "training_simulator.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace dts;
using Release = py::call_guard<LongCall>;

namespace {

template <class T, class Get>
py::array_t<T> column(const EventTable& events, Get get) {
  py::array_t<T> out(static_cast<py::ssize_t>(events.tasks.size()));
  T* data = out.mutable_data();
  for (std::size_t i = 0; i < events.tasks.size(); ++i) data[i] = static_cast<T>(get(i));
  return out;
}

py::dict event_columns(const EventTable& e) {
  py::dict columns;
  columns["kind"] = column<std::uint8_t>(e, [&](std::size_t i) { return e.tasks[i].kind; });
  columns["stream"] = column<std::uint8_t>(e, [&](std::size_t i) { return e.tasks[i].stream; });
  columns["rank"] = column<std::int32_t>(e, [&](std::size_t i) { return e.tasks[i].rank; });
  columns["stage"] = column<std::int32_t>(e, [&](std::size_t i) { return e.tasks[i].stage; });
  columns["micro_batch"] = column<std::int32_t>(e, [&](std::size_t i) { return e.tasks[i].micro_batch; });
  columns["piece"] = column<std::int32_t>(e, [&](std::size_t i) { return e.tasks[i].piece; });
  columns["start_s"] = column<double>(e, [&](std::size_t i) { return e.start_s[i]; });
  columns["end_s"] = column<double>(e, [&](std::size_t i) { return e.end_s[i]; });
  columns["bytes"] = column<double>(e, [&](std::size_t i) { return e.messages[i].bytes; });
  columns["ranks"] = column<std::int32_t>(e, [&](std::size_t i) { return e.messages[i].ranks; });
  return columns;
}

py::array_t<double> traffic_matrix(const StepResult& r) {
  const auto n = r.traffic_bytes.empty() ? py::ssize_t{0} : static_cast<py::ssize_t>(r.devices);
  py::array_t<double> matrix({n, n});
  std::copy(r.traffic_bytes.begin(), r.traffic_bytes.end(), matrix.mutable_data());
  return matrix;
}

StepResult run(const ModelSpec& model, const DeviceSpec& device, const Interconnect& network, const Strategy& strategy,
               const FrameworkProfile& profile, double seq_len, bool expand, bool keep_events, bool keep_traffic,
               const std::vector<double>& slowdown, const std::optional<StragglerSpec>& stragglers,
               const std::vector<DeviceSpec>& other_devices, const HostShare& host,
               const std::optional<FlowStepOptions>& flow, int intervals, bool traffic) {
  SimulateOptions options{expand, keep_events, keep_traffic, slowdown, stragglers, 0, true, flow};
  if (options.flow) options.flow->intervals = intervals, options.flow->traffic = traffic;
  static thread_local RunMemory kept;           // a thread's steps follow each other
  constexpr std::size_t kMostKept = 1'000'000;  // entries, 24 MB
  PriceBook book;
  std::swap(book.memory(), kept);
  StepResult result =
      simulate({model, device, network, strategy, profile, seq_len, other_devices, kOneKind, host}, options, book);
  if (book.memory().entries() <= kMostKept) std::swap(book.memory(), kept);
  return result;
}

std::vector<double> run_steps(const ModelSpec& model, const DeviceSpec& device, const Interconnect& network,
                              const Strategy& strategy, const FrameworkProfile& profile, double seq_len,
                              const StragglerSpec& stragglers, int count, const std::vector<DeviceSpec>& other_devices,
                              const HostShare& host, const std::optional<FlowStepOptions>& flow, int threads) {
  return step_times_of_draws({model, device, network, strategy, profile, seq_len, other_devices, kOneKind, host},
                             stragglers, count, flow, threads);
}

void bind_stragglers(py::module_& m) {
  py::native_enum<StragglerKind>(m, "StragglerKind", "enum.Enum")
      .value("RANKS", StragglerKind::Ranks)
      .value("FRACTION", StragglerKind::Fraction)
      .value("UNIFORM", StragglerKind::Uniform)
      .value("NORMAL", StragglerKind::Normal)
      .value("LOGNORMAL", StragglerKind::LogNormal)
      .finalize();
  py::class_<StragglerSpec>(m, "StragglerSpec")
      .def(py::init<>())
      .def_readwrite("kind", &StragglerSpec::kind)
      .def_readwrite("ranks", &StragglerSpec::ranks)
      .def_readwrite("factors", &StragglerSpec::factors)
      .def_readwrite("fraction", &StragglerSpec::fraction)
      .def_readwrite("factor", &StragglerSpec::factor)
      .def_readwrite("low", &StragglerSpec::low)
      .def_readwrite("high", &StragglerSpec::high)
      .def_readwrite("sigma", &StragglerSpec::sigma)
      .def_readwrite("group", &StragglerSpec::group)
      .def_readwrite("seed", &StragglerSpec::seed);
  m.def("check_stragglers", &check_stragglers, "spec"_a, "world"_a);
  m.def("slowdown_of", &slowdown_of, "spec"_a, "world"_a, "step"_a = 0, Release());
}

void bind_host(py::module_& m) {
  py::class_<TierRate>(m, "TierRate")
      .def(py::init([](double read_Bps, double write_Bps) { return TierRate{read_Bps, write_Bps}; }),
           "read_Bps"_a = 0.0, "write_Bps"_a = 0.0)
      .def_readonly("read_Bps", &TierRate::read_Bps)
      .def_readonly("write_Bps", &TierRate::write_Bps);
  py::class_<HostShare>(m, "HostShare")
      .def(py::init([](double copy_Bps, double memory_Bps, const TierRate& nvme, const TierRate& remote) {
             return HostShare{copy_Bps, memory_Bps, nvme, remote};
           }),
           "copy_Bps"_a = 0.0, "memory_Bps"_a = 0.0, "nvme"_a = TierRate{}, "remote"_a = TierRate{})
      .def_readonly("copy_Bps", &HostShare::copy_Bps)
      .def_readonly("memory_Bps", &HostShare::memory_Bps)
      .def_readonly("nvme", &HostShare::nvme)
      .def_readonly("remote", &HostShare::remote);
}

void bind_memory_report(py::module_& m) {
  py::class_<MemoryReport>(m, "MemoryReport")
      .def_readonly("weights", &MemoryReport::weights)
      .def_readonly("gradients", &MemoryReport::gradients)
      .def_readonly("optimizer", &MemoryReport::optimizer)
      .def_readonly("activations", &MemoryReport::activations)
      .def_readonly("temporaries", &MemoryReport::temporaries)
      .def_readonly("gathered_parameters", &MemoryReport::gathered_parameters)
      .def_readonly("communication_buffers", &MemoryReport::communication_buffers)
      .def_readonly("workspace", &MemoryReport::workspace)
      .def_readonly("context", &MemoryReport::context)
      .def_readonly("communicators", &MemoryReport::communicators)
      .def_readonly("user_buffers", &MemoryReport::user_buffers)
      .def_readonly("update", &MemoryReport::update)
      .def_readonly("tiers", &MemoryReport::tiers)
      .def_property_readonly("host_bytes", &MemoryReport::host_bytes)
      .def_property_readonly("nvme_bytes", &MemoryReport::nvme_bytes)
      .def_property_readonly("remote_bytes", &MemoryReport::remote_bytes)
      .def_property_readonly("allocated", &MemoryReport::allocated)
      .def(pickled(&MemoryReport::weights, &MemoryReport::gradients, &MemoryReport::optimizer,
                   &MemoryReport::activations, &MemoryReport::temporaries, &MemoryReport::gathered_parameters,
                   &MemoryReport::communication_buffers, &MemoryReport::workspace, &MemoryReport::context,
                   &MemoryReport::communicators, &MemoryReport::user_buffers, &MemoryReport::tiers,
                   &MemoryReport::update));
}

void bind_breakdown(py::module_& m) {
  py::class_<Breakdown>(m, "Breakdown")
      .def_readonly("forward_s", &Breakdown::forward_s)
      .def_readonly("backward_s", &Breakdown::backward_s)
      .def_readonly("recompute_s", &Breakdown::recompute_s)
      .def_readonly("optimizer_s", &Breakdown::optimizer_s)
      .def_readonly("exposed_tp_s", &Breakdown::exposed_tp_s)
      .def_readonly("exposed_cp_s", &Breakdown::exposed_cp_s)
      .def_readonly("exposed_ep_s", &Breakdown::exposed_ep_s)
      .def_readonly("exposed_dp_s", &Breakdown::exposed_dp_s)
      .def_readonly("offload_s", &Breakdown::offload_s)
      .def_readonly("pipeline_s", &Breakdown::pipeline_s)
      .def_readonly("interference_s", &Breakdown::interference_s)
      .def_readonly("contention_s", &Breakdown::contention_s)
      .def_readonly("straggler_s", &Breakdown::straggler_s)
      .def_readonly("host_s", &Breakdown::host_s)
      .def_readonly("fixed_s", &Breakdown::fixed_s)
      .def_property_readonly("total_s", &Breakdown::total_s)
      .def(pickled(&Breakdown::forward_s, &Breakdown::backward_s, &Breakdown::recompute_s, &Breakdown::optimizer_s,
                   &Breakdown::exposed_tp_s, &Breakdown::exposed_cp_s, &Breakdown::exposed_ep_s,
                   &Breakdown::exposed_dp_s, &Breakdown::offload_s, &Breakdown::pipeline_s, &Breakdown::interference_s,
                   &Breakdown::contention_s, &Breakdown::straggler_s, &Breakdown::host_s, &Breakdown::fixed_s));
  py::class_<AxisTime>(m, "AxisTime")
      .def_readonly("total_s", &AxisTime::total_s)
      .def_readonly("exposed_s", &AxisTime::exposed_s)
      .def(pickled(&AxisTime::total_s, &AxisTime::exposed_s));
}

}  // namespace

void bind_simulator(py::module_& m) {
  py::native_enum<TaskKind>(m, "TaskKind", "enum.Enum")
      .value("FORWARD", TaskKind::Forward)
      .value("BACKWARD", TaskKind::Backward)
      .value("PARAM_GATHER", TaskKind::ParamGather)
      .value("GRAD_REDUCE", TaskKind::GradReduce)
      .value("PIPELINE_SEND", TaskKind::PipelineSend)
      .value("TIED_REDUCE", TaskKind::TiedReduce)
      .value("SYNC", TaskKind::Sync)
      .value("OPTIMIZER", TaskKind::Optimizer)
      .value("INPUT_GRAD", TaskKind::InputGrad)
      .value("WEIGHT_GRAD", TaskKind::WeightGrad)
      .value("COPY_REDUCE", TaskKind::CopyReduce)
      .value("REPLICA_REDUCE", TaskKind::ReplicaReduce)
      .value("GRAD_OFFLOAD", TaskKind::GradOffload)
      .value("PARAM_UPLOAD", TaskKind::ParamUpload)
      .value("ACTIVATION_OFFLOAD", TaskKind::ActivationOffload)
      .value("ACTIVATION_RELOAD", TaskKind::ActivationReload)
      .value("STATE_UPLOAD", TaskKind::StateUpload)
      .value("STATE_DOWNLOAD", TaskKind::StateDownload)
      .value("TIER_READ", TaskKind::TierRead)
      .value("TIER_WRITE", TaskKind::TierWrite)
      .finalize();
  py::class_<Interconnect>(m, "Interconnect")
      .def_static(
          "of_cluster", [](const ClusterSpec& c, bool alone) { return make_interconnect(c, alone); }, "cluster"_a,
          "alone"_a = false)
      .def_static(
          "of_topology", [](const CommunicationModel& c) { return make_interconnect(c); }, "model"_a)
      .def("placed", &place_on, "device_of"_a, py::keep_alive<0, 1>())
      .def_property_readonly("device_count", &Interconnect::device_count);
  bind_host(m);
  bind_memory_report(m);
  bind_breakdown(m);
  bind_stragglers(m);
  py::class_<EventTable>(m, "EventTable")
      .def(py::pickle([](const EventTable& e) { return event_columns(e); },
                      [](const py::dict& columns) { return events_of(columns); }));
  py::class_<StepResult>(m, "StepResult")
      .def_readonly("step_time_s", &StepResult::step_time_s)
      .def_readonly("even_step_time_s", &StepResult::even_step_time_s)
      .def_readonly("tokens_per_step", &StepResult::tokens_per_step)
      .def_readonly("samples_per_step", &StepResult::samples_per_step)
      .def_readonly("devices", &StepResult::devices)
      .def_readonly("parameters", &StepResult::parameters)
      .def_readonly("model_flops", &StepResult::model_flops)
      .def_readonly("model_flops_full", &StepResult::model_flops_full)
      .def_readonly("hardware_flops", &StepResult::hardware_flops)
      .def_readonly("peak_flops", &StepResult::peak_flops)
      .def_readonly("micro_batches", &StepResult::micro_batches)
      .def_readonly("stages", &StepResult::stages)
      .def_readonly("mean", &StepResult::mean)
      .def_readonly("memory", &StepResult::memory)
      .def_readonly("forward_s", &StepResult::forward_s)
      .def_readonly("backward_s", &StepResult::backward_s)
      .def_readonly("capacity_bytes", &StepResult::capacity_bytes)
      .def_readonly("rank_classes", &StepResult::rank_classes)
      .def_readonly("communication", &StepResult::communication)
      .def_readonly("communication_s", &StepResult::communication_s)
      .def_readonly("mean_communication", &StepResult::mean_communication)
      .def_readonly("uncontended_step_time_s", &StepResult::uncontended_step_time_s)
      .def_readonly("links", &StepResult::links)
      .def_property_readonly("mfu", &StepResult::mfu)
      .def_property_readonly("mfu_full", &StepResult::mfu_full)
      .def_property_readonly("hfu", &StepResult::hfu)
      .def("event_columns", [](const StepResult& r) { return event_columns(r.events); })
      .def("traffic_bytes", &traffic_matrix)
      .def(pickled(&StepResult::step_time_s, &StepResult::even_step_time_s, &StepResult::tokens_per_step,
                   &StepResult::samples_per_step, &StepResult::devices, &StepResult::parameters,
                   &StepResult::model_flops, &StepResult::model_flops_full, &StepResult::hardware_flops,
                   &StepResult::peak_flops, &StepResult::micro_batches, &StepResult::stages, &StepResult::mean,
                   &StepResult::memory, &StepResult::capacity_bytes, &StepResult::rank_classes,
                   &StepResult::communication, &StepResult::forward_s, &StepResult::backward_s,
                   &StepResult::communication_s, &StepResult::mean_communication, &StepResult::events,
                   &StepResult::traffic_bytes, &StepResult::uncontended_step_time_s, &StepResult::links));
  m.def("simulate", &run, "model"_a, "device"_a, "network"_a, "strategy"_a, "profile"_a, "seq_len"_a,
        "expand"_a = false, "keep_events"_a = true, "keep_traffic"_a = false, "slowdown"_a = std::vector<double>{},
        "stragglers"_a = std::optional<StragglerSpec>{}, "other_devices"_a = std::vector<DeviceSpec>{},
        "host"_a = HostShare{}, "flow"_a = std::optional<FlowStepOptions>{}, "intervals"_a = 0, "traffic"_a = false,
        Release());
  m.def("step_times", &run_steps, "model"_a, "device"_a, "network"_a, "strategy"_a, "profile"_a, "seq_len"_a,
        "stragglers"_a, "count"_a, "other_devices"_a = std::vector<DeviceSpec>{}, "host"_a = HostShare{},
        "flow"_a = std::optional<FlowStepOptions>{}, "threads"_a = 0, Release());
}

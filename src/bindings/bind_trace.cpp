// Timelines as bytes of trace formats; Python writes the files.
#include "bindings/events.hpp"
#include "bindings/long_call.hpp"
#include "trace/kineto.hpp"
#include "trace/perfetto.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace dts;

namespace {

using Counter = std::tuple<std::int32_t, std::string, std::string, std::vector<double>, std::vector<double>>;

std::vector<TraceCounter> list_of(const std::vector<Counter>& counters) {
  std::vector<TraceCounter> list;
  for (const auto& [of_rank, name, unit, time_s, value] : counters)
    list.push_back({of_rank, name, unit, time_s, value});
  return list;
}

py::bytes perfetto(const py::dict& events, std::vector<std::string> kinds, std::vector<std::string> categories,
                   std::vector<std::string> streams, std::string rank, const std::vector<Counter>& counters) {
  const EventTable table = events_of(events);
  const TraceNames names{std::move(kinds), std::move(categories), std::move(streams), std::move(rank)};
  return py::bytes(long_call([&] { return perfetto_trace(table, names, list_of(counters)); }));
}

py::bytes kineto(const py::dict& events, std::vector<std::string> ops, std::vector<std::string> kernels,
                 std::vector<std::string> collectives, std::vector<std::string> titles,
                 std::vector<std::string> streams, std::string device, double device_bytes, double step_time_s,
                 std::int64_t devices, bool one_rank, std::string row, const std::vector<Counter>& counters) {
  const EventTable table = events_of(events);
  const KinetoNames names{std::move(ops), std::move(kernels), std::move(collectives), std::move(titles),
                          std::move(streams)};
  const KinetoJob job{std::move(device), device_bytes, step_time_s, devices, one_rank, std::move(row)};
  return py::bytes(long_call([&] { return kineto_trace(table, names, job, list_of(counters)); }));
}

}  // namespace

void bind_trace(py::module_& m) {
  m.def("perfetto_trace", &perfetto, "events"_a, "kinds"_a, "categories"_a, "streams"_a, "rank"_a, "counters"_a);
  m.def("kineto_trace", &kineto, "events"_a, "ops"_a, "kernels"_a, "collectives"_a, "titles"_a, "streams"_a, "device"_a,
        "device_bytes"_a, "step_time_s"_a, "devices"_a, "one_rank"_a, "row"_a, "counters"_a);
}

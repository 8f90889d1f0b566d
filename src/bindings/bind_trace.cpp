// Timelines as bytes of trace formats; Python writes the files.
#include "bindings/events.hpp"
#include "trace/perfetto.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace dts;

namespace {

using Counter = std::tuple<std::int32_t, std::string, std::string, std::vector<double>, std::vector<double>>;

py::bytes perfetto(const py::dict& events, std::vector<std::string> kinds, std::vector<std::string> categories,
                   std::vector<std::string> streams, std::string rank, const std::vector<Counter>& counters) {
  const EventTable table = events_of(events);
  const TraceNames names{std::move(kinds), std::move(categories), std::move(streams), std::move(rank)};
  std::vector<TraceCounter> list;
  for (const auto& [of_rank, name, unit, time_s, value] : counters) list.push_back({of_rank, name, unit, time_s, value});
  std::string bytes;
  {
    const py::gil_scoped_release release;
    bytes = perfetto_trace(table, names, list);
  }
  return py::bytes(bytes);
}

}  // namespace

void bind_trace(py::module_& m) {
  m.def("perfetto_trace", &perfetto, "events"_a, "kinds"_a, "categories"_a, "streams"_a, "rank"_a, "counters"_a);
}

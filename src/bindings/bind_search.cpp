// Batches of strategies: columns in, columns out.
#include <pybind11/native_enum.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <limits>
#include <memory>

#include "bindings/long_call.hpp"
#include "search/bounds.hpp"
#include "search/evaluate.hpp"
#include "search/legal.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace dts;

namespace {

using Values = py::array_t<double, py::array::c_style | py::array::forcecast>;
using Places = py::array_t<std::int32_t, py::array::c_style | py::array::forcecast>;

StrategyTable table_of(std::size_t rows, std::vector<Strategy> bases, const Places& base_of, const py::dict& columns) {
  StrategyTable table{rows, std::move(bases), {base_of.data(), std::next(base_of.data(), base_of.size())}, {}};
  for (const auto& [name, values] : columns) {
    const auto array = py::cast<Values>(values);
    table.columns.push_back(
        {&strategy_field(py::cast<std::string>(name)), {array.data(), std::next(array.data(), array.size())}});
  }
  return table;
}

template <class T, class From>
py::array_t<T> array_of(const std::vector<From>& values) {
  py::array_t<T> array(static_cast<py::ssize_t>(values.size()));
  std::transform(values.begin(), values.end(), array.mutable_data(), [](From value) { return static_cast<T>(value); });
  return array;
}

py::dict columns_of(const Evaluations& found) {
  py::dict columns;
  columns["status"] = array_of<std::uint8_t>(found.status);
  columns["reason"] = array_of<std::int32_t>(found.reason);
  for (std::size_t c = 0; c < kEvaluationColumns; ++c)
    columns[evaluation_columns()[c]] = array_of<double>(found.columns[c]);
  return columns;
}

// A job whose strategies are looked at in many calls.
struct SearchJob {
  Job job;
  BookShelf shelf;

  py::tuple evaluate(std::size_t rows, std::vector<Strategy> bases, const Places& base_of, const py::dict& columns,
                     double failure_factor, const std::array<double, 4>& tier_capacity_bytes, int threads) {
    const StrategyTable table = table_of(rows, std::move(bases), base_of, columns);
    const EvaluateOptions options{failure_factor, tier_capacity_bytes, threads};
    const Evaluations found = long_call([&] { return dts::evaluate(job, table, options, shelf); });
    return py::make_tuple(columns_of(found), found.reasons);
  }

  py::array_t<bool> legal(std::size_t rows, std::vector<Strategy> bases, const Places& base_of, const py::dict& columns,
                          int threads) {
    const StrategyTable table = table_of(rows, std::move(bases), base_of, columns);
    return array_of<bool>(long_call([&] { return legal_rows(job, table, threads, shelf); }));
  }

  py::tuple bounds(std::size_t rows, std::vector<Strategy> bases, const Places& base_of, const py::dict& columns,
                   bool memory, double room_bytes, int threads) {
    const StrategyTable table = table_of(rows, std::move(bases), base_of, columns);
    const StrategyBounds found =
        long_call([&] { return strategy_bounds(job, table, {memory, room_bytes}, threads, shelf); });
    return py::make_tuple(array_of<double>(found.step_time_s), array_of<double>(found.allocated_bytes));
  }
};

std::unique_ptr<SearchJob> search_job(const ModelSpec& model, const DeviceSpec& device, const Interconnect& network,
                                      const FrameworkProfile& profile, double seq_len,
                                      const std::vector<DeviceSpec>& other_devices, const HostShare& host) {
  return std::unique_ptr<SearchJob>(
      new SearchJob{{model, device, network, Strategy{}, profile, seq_len, other_devices, kOneKind, host}, {}});
}

std::vector<std::string> field_names() {
  std::vector<std::string> names;
  for (const StrategyField& field : strategy_fields()) names.emplace_back(field.name);
  return names;
}

}  // namespace

void bind_search(py::module_& m) {
  py::native_enum<RowStatus>(m, "RowStatus", "enum.IntEnum")
      .value("FITS", RowStatus::Fits)
      .value("DOES_NOT_FIT", RowStatus::DoesNotFit)
      .value("ILLEGAL", RowStatus::Illegal)
      .finalize();
  m.def("strategy_fields", &field_names);
  m.def("evaluation_columns", [] {
    return std::vector<std::string>(evaluation_columns(), std::next(evaluation_columns(), kEvaluationColumns));
  });
  py::class_<SearchJob>(m, "SearchJob")
      .def(py::init(&search_job), "model"_a, "device"_a, "network"_a, "profile"_a, "seq_len"_a,
           "other_devices"_a = std::vector<DeviceSpec>{}, "host"_a = HostShare{}, py::keep_alive<1, 2>(),
           py::keep_alive<1, 3>(), py::keep_alive<1, 4>())
      .def("evaluate", &SearchJob::evaluate, "rows"_a, "bases"_a, "base_of"_a, "columns"_a, "failure_factor"_a = 1.0,
           "tier_capacity_bytes"_a = std::array<double, 4>{-1, -1, -1, -1}, "threads"_a = 1)
      .def("legal", &SearchJob::legal, "rows"_a, "bases"_a, "base_of"_a, "columns"_a, "threads"_a = 1)
      .def("bounds", &SearchJob::bounds, "rows"_a, "bases"_a, "base_of"_a, "columns"_a, "memory"_a = true,
           "room_bytes"_a = std::numeric_limits<double>::infinity(), "threads"_a = 1);
}

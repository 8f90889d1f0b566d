// Events of a step between Python's columns and the core's table.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "step/account/step_events.hpp"

namespace dts {

// The inverse of StepResult.event_columns.
inline EventTable events_of(const pybind11::dict& columns) {
  const auto get = [&](const char* name) {
    return columns[name].cast<pybind11::array_t<std::int32_t, pybind11::array::c_style | pybind11::array::forcecast>>();
  };
  const auto kinds = get("kind"), streams = get("stream"), ranks = get("rank"), stages = get("stage"),
             micro_batches = get("micro_batch"), pieces = get("piece"), members = get("ranks");
  const auto bytes = columns["bytes"].cast<std::vector<double>>();
  EventTable e{{}, columns["start_s"].cast<std::vector<double>>(), columns["end_s"].cast<std::vector<double>>(), {}};
  const auto kind = kinds.unchecked<1>(), stream = streams.unchecked<1>(), rank = ranks.unchecked<1>(),
             stage = stages.unchecked<1>(), micro_batch = micro_batches.unchecked<1>(), piece = pieces.unchecked<1>(),
             group = members.unchecked<1>();
  e.tasks.reserve(static_cast<std::size_t>(kinds.size()));
  e.messages.reserve(static_cast<std::size_t>(kinds.size()));
  for (pybind11::ssize_t i = 0; i < kinds.size(); ++i) {
    e.tasks.push_back({static_cast<TaskKind>(kind(i)), static_cast<StreamKind>(stream(i)), rank(i), stage(i),
                       micro_batch(i), piece(i)});
    e.messages.push_back({bytes[static_cast<std::size_t>(i)], group(i)});
  }
  return e;
}

}  // namespace dts

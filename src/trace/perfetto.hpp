// A timeline as a Perfetto trace (https://perfetto.dev, protos/perfetto/trace/trace_packet.proto): a process per rank,
// a thread per stream, flows from a transfer to the pass that reads it, and counters. The format is protobuf's wire
// format, written by hand: a few fields of a stable public schema. Columns in, bytes out; times are rounded to
// nanoseconds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "step/account/step_events.hpp"
#include "trace/counters.hpp"

namespace dts {

struct TraceNames {
  std::vector<std::string> kinds, categories;  // per TaskKind
  std::vector<std::string> streams;            // per StreamKind
  std::string rank = "rank";
};

std::string perfetto_trace(const EventTable& events, const TraceNames& names,
                           const std::vector<TraceCounter>& counters = {});

}  // namespace dts

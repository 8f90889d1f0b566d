// What plain passes work on, looked up once for all micro-batches: that of a rank, and that of one kind and stage.
#pragma once

#include "step/account/busy_time.hpp"
#include "step/account/exposure.hpp"
#include "step/run/bound_ops.hpp"
#include "step/run/rank_times.hpp"

namespace dts {

struct PlainRank {
  RankTimes* times;
  BusyTime* computes;
  double* ends_s;  // of its latest passes
  std::size_t rank;
};

struct PlainPort {
  double* in = nullptr;                       // its inputs by micro-batch; null: nothing feeds it
  double* out = nullptr;                      // what it sends, where it is read; null: it sends nothing
  double seconds = 0, send_s = 0, fed_s = 0;  // of the pass and its transfer, of the transfer that brings its inputs
  const Bound* bound = nullptr;               // null: not known yet, and with it the first two times
  // Not counted yet: what ran as a plain pass, inputs, and how far they were exposed.
  std::uint32_t runs = 0, arrivals = 0;
  double exposed_s = 0;
};

}  // namespace dts

// What a plain pass of one kind and stage works on, looked up once for all its micro-batches.
#pragma once

#include <vector>

#include "step/account/busy_time.hpp"
#include "step/account/exposure.hpp"
#include "step/run/bound_ops.hpp"

namespace dts {

struct PlainPort {
  double* in = nullptr;           // its inputs by micro-batch; null: nothing feeds it
  double* out = nullptr;          // what it sends, where it is read; null: it sends nothing
  const Bound* bound = nullptr;   // null: not known yet
  const Bound* fed = nullptr;     // the transfer that brings its inputs; null: nothing feeds it
  BusyTime* computes = nullptr;   // of its rank
  AxisTime* transfers = nullptr;  // to its rank
  double runs = 0;                // not counted yet
  std::size_t rank = 0;
  int direction = 0;  // of what it sends
};

}  // namespace dts

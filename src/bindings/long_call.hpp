// Guard of calls into the core: other Python threads run meanwhile, and Ctrl-C ends the call with KeyboardInterrupt.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>

#include "interrupt.hpp"

class LongCall {
 public:
  LongCall()
      : scope_([next = std::chrono::steady_clock::now() + kBetween]() mutable {
          if (std::chrono::steady_clock::now() < next) return;
          next = std::chrono::steady_clock::now() + kBetween;
          const pybind11::gil_scoped_acquire gil;
          if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
        }) {}

 private:
  static constexpr std::chrono::milliseconds kBetween{50};  // taking the GIL may cost others some milliseconds
  pybind11::gil_scoped_release release_;
  dts::InterruptScope scope_;
};

template <class Call>
auto long_call(Call call) {
  const LongCall guard;
  return call();
}

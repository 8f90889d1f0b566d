// A device with round figures, so that expected times can be worked out by hand: 100 multiprocessors, 100 TFLOP/s bf16,
// 1 TB/s, no fixed times, compute and memory time added.
#pragma once

#include "hardware/device.hpp"

namespace dts_test {

inline dts::DeviceSpec round_device() {
  dts::DeviceSpec d;
  d.sm_count = 100;
  d.hbm_Bps = 1e12;
  d.rates[dts::index_of(dts::DType::BF16)] = {100e12, 1, 0.5};
  d.gemm = {1, 1, 0, 0, 1, 1, 1, 0, 1};
  d.attention_forward = {0.25, 0.5, 0.5, 0.4, 0, 0, 128, 0};
  d.attention_backward = d.attention_forward;
  d.memory = {1, 0.5, 0.25, 0.8, 1e-6};
  return d;
}

}  // namespace dts_test

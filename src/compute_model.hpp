// The compute façade of the front door: a set of devices, equal or not, and the time of a piece of work on one of them
// or on the slowest (which decides a synchronous step). It checks inputs and picks the device; every price is one of
// the pure formulas in compute/.
#pragma once

#include <cstddef>
#include <vector>

#include "compute/attention.hpp"
#include "compute/gemm.hpp"
#include "hardware/device.hpp"

namespace dts {

struct OpProfile {  // an op known by what it computes and moves
  double flops = 0;
  double bytes = 0;
  DType dtype = DType::BF16;
};

// A model known by its size only: every parameter is used once per sample (2 FLOPs), and `activations` elements per
// sample are written by one op and read by the next. Per device: its parameters and its samples.
struct GenericWork {
  double parameters = 0;
  double samples = 0;
  double activations = 0;  // elements per sample
  DType dtype = DType::BF16;
};

// One pass: 2 P samples FLOPs; one tensor of the weights' size (weights read, or their gradient written) and two of the
// activations' size. Forward, data gradient and weight gradient are each such a pass.
OpProfile pass_profile(const GenericWork& work) noexcept;

class ComputeModel {
 public:
  static constexpr int kSlowest = -1;  // in place of a device index

  ComputeModel(int devices, const DeviceSpec& device);  // throws ConfigError
  // Device i is kinds[kind_of[i]] at speed[i]. Throws ConfigError.
  ComputeModel(std::vector<DeviceSpec> kinds, std::vector<std::size_t> kind_of, std::vector<double> speed);

  int devices() const noexcept { return static_cast<int>(kind_of_.size()); }
  const DeviceSpec& device(int index) const;
  double speed(int index) const;
  const std::vector<DeviceSpec>& kinds() const noexcept { return kinds_; }
  const std::vector<std::size_t>& kind_of() const noexcept { return kind_of_; }
  const std::vector<double>& speeds() const noexcept { return speed_; }

  void set_device(int index, const DeviceSpec& device);
  void set_speed(int index, double factor);  // 0.9: everything on this device takes 1/0.9 of the time

  double forward_time_s(const GenericWork& work, int device = kSlowest) const;
  double backward_time_s(const GenericWork& work, int device = kSlowest) const;  // data and weight gradients
  double weight_update_time_s(double parameters, double bytes_per_parameter, int device = kSlowest) const;
  double op_time_s(const OpProfile& profile, int device = kSlowest) const;
  double matmul_time_s(const GemmShape& shape, DType dtype, int device = kSlowest) const;
  double attention_time_s(const AttentionShape& shape, DType dtype, bool backward, int device = kSlowest) const;

 private:
  template <class Price>
  double price(int device, Price price_s) const;
  std::size_t at(int index) const;

  std::vector<DeviceSpec> kinds_;  // distinct descriptions; device i is kinds_[kind_of_[i]] at speed_[i]
  std::vector<std::size_t> kind_of_;
  std::vector<double> speed_;
};

}  // namespace dts

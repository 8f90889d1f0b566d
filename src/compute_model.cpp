#include "compute_model.hpp"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include "compute/memory_bound.hpp"
#include "compute/numeric.hpp"
#include "compute/optimizer.hpp"
#include "error.hpp"

namespace dts {
namespace {

void check_amounts(std::initializer_list<std::pair<const char*, double>> fields) {
  Checker check;
  for (const auto& f : fields) check.non_negative(f.first, f.second);
  check.throw_if_any();
}

void check_work(const GenericWork& w) {
  check_amounts({{"parameters", w.parameters}, {"samples", w.samples}, {"activations", w.activations}});
}

double profile_time_s(const DeviceSpec& d, const OpProfile& p) noexcept {
  return roofline_time_s(d, p.dtype, p.flops, p.bytes);
}

}  // namespace

OpProfile pass_profile(const GenericWork& w) noexcept {
  if (!(w.samples > 0)) return {0, 0, w.dtype};  // nothing is read without a sample
  return {saturate(2 * w.parameters * w.samples),
          saturate((w.parameters + 2 * w.activations * w.samples) * bytes_of(w.dtype)), w.dtype};
}

ComputeModel::ComputeModel(int devices, const DeviceSpec& device) {
  Checker check;
  check.at_least("num_devices", devices, 1);
  check.throw_if_any();
  check_device(device);
  kinds_.push_back(device);
  kind_of_.assign(static_cast<std::size_t>(devices), 0);
  speed_.assign(static_cast<std::size_t>(devices), 1);
}

ComputeModel::ComputeModel(std::vector<DeviceSpec> kinds, std::vector<std::size_t> kind_of, std::vector<double> speed)
    : kinds_(std::move(kinds)), kind_of_(std::move(kind_of)), speed_(std::move(speed)) {
  Checker check;
  check.require(!kind_of_.empty() && speed_.size() == kind_of_.size(), "speed",
                std::to_string(speed_.size()) + " values", "one per device, of which there is at least one");
  for (const std::size_t kind : kind_of_)
    check.require(kind < kinds_.size(), "kind_of", std::to_string(kind),
                  "the place of one of " + std::to_string(kinds_.size()) + " kinds");
  for (const double s : speed_) check.positive("speed", s);
  check.throw_if_any();
  for (const DeviceSpec& kind : kinds_) check_device(kind);
}

std::size_t ComputeModel::at(int index) const {
  Checker check;
  check.require(index >= 0 && index < devices(), "device index", std::to_string(index),
                "an index from 0 to " + std::to_string(devices() - 1));
  check.throw_if_any();
  return static_cast<std::size_t>(index);
}

const DeviceSpec& ComputeModel::device(int index) const { return kinds_[kind_of_[at(index)]]; }

double ComputeModel::speed(int index) const { return speed_[at(index)]; }

void ComputeModel::set_device(int index, const DeviceSpec& device) {
  const std::size_t i = at(index);
  check_device(device);
  kinds_.push_back(device);
  kind_of_[i] = kinds_.size() - 1;
}

void ComputeModel::set_speed(int index, double factor) {
  const std::size_t i = at(index);
  Checker check;
  check.positive("speed", factor);
  check.throw_if_any();
  speed_[i] = factor;
}

template <class Price>
double ComputeModel::price(int index, Price price_s) const {
  if (index != kSlowest) return saturate(price_s(device(index)) / speed(index));
  std::vector<double> slowest_speed(kinds_.size(), 0);  // 0: no device is of this kind any more
  for (std::size_t i = 0; i < kind_of_.size(); ++i) {
    double& s = slowest_speed[kind_of_[i]];
    s = s > 0 ? std::min(s, speed_[i]) : speed_[i];
  }
  double longest_s = 0;
  for (std::size_t k = 0; k < kinds_.size(); ++k)
    if (slowest_speed[k] > 0) longest_s = std::max(longest_s, saturate(price_s(kinds_[k]) / slowest_speed[k]));
  return longest_s;
}

double ComputeModel::forward_time_s(const GenericWork& work, int device) const {
  check_work(work);
  return price(device, [&](const DeviceSpec& d) { return profile_time_s(d, pass_profile(work)); });
}

double ComputeModel::backward_time_s(const GenericWork& work, int device) const {
  return saturate(2 * forward_time_s(work, device));
}

double ComputeModel::weight_update_time_s(double parameters, double bytes_per_parameter, int device) const {
  check_amounts({{"parameters", parameters}, {"bytes_per_parameter", bytes_per_parameter}});
  return price(device, [&](const DeviceSpec& d) { return optimizer_time_s(d, parameters, bytes_per_parameter); });
}

double ComputeModel::op_time_s(const OpProfile& profile, int device) const {
  check_amounts({{"flops", profile.flops}, {"bytes", profile.bytes}});
  return price(device, [&](const DeviceSpec& d) { return profile_time_s(d, profile); });
}

double ComputeModel::matmul_time_s(const GemmShape& shape, DType dtype, int device) const {
  check_amounts({{"m", shape.m}, {"n", shape.n}, {"k", shape.k}, {"batch", shape.batch}});
  const double result_bytes = std::max(bytes_of(dtype), bytes_of(DType::BF16));  // 8- and 4-bit products leave in bf16
  return price(device,
               [&](const DeviceSpec& d) { return gemm_time_s(d, dtype, shape, GemmPass::Forward, result_bytes); });
}

double ComputeModel::attention_time_s(const AttentionShape& s, DType dtype, bool backward, int device) const {
  check_amounts({{"batch", s.batch},
                 {"heads", s.heads},
                 {"kv_heads", s.kv_heads},
                 {"q_len", s.q_len},
                 {"kv_len", s.kv_len},
                 {"qk_dim", s.qk_dim},
                 {"v_dim", s.v_dim},
                 {"window", s.window}});
  return price(device, [&](const DeviceSpec& d) { return flash_attention_time_s(d, dtype, s, backward, true); });
}

}  // namespace dts

#include "memory/plan.hpp"

#include <algorithm>

#include "error.hpp"

namespace dts {

namespace {

constexpr double kLargestSize = 1e18;  // beyond it a typing error; products stay finite

double element_bytes(DType precision) { return precision == DType::FP64 ? 8 : bytes_of(precision) < 4 ? 2 : 4; }

void check_share(Checker& check, const std::string& where, double value) {
  check.require(value >= 0 && value <= 1, where, number_text(value), "a share between 0 and 1");
}

void check_plan(const MemoryPlan& p) {
  Checker check;
  check.positive("parameters", p.parameters);
  check.non_negative("activations_per_sample", p.activations_per_sample);
  check.positive("samples_per_device", p.samples_per_device);
  for (double size : {p.parameters, p.activations_per_sample, p.samples_per_device, p.blocks.blocks}) {
    check.require(!(size > kLargestSize), "plan", number_text(size), "sizes up to " + number_text(kLargestSize));
  }
  check.at_least("accumulation_steps", p.accumulation_steps, 1);
  check.at_least("devices", p.devices, 1);
  check.require(p.zero >= 0 && p.zero <= 3, "zero", std::to_string(p.zero), "0, 1, 2 or 3");
  check.require(p.samples_per_device >= p.accumulation_steps, "accumulation_steps",
                std::to_string(p.accumulation_steps), "at most samples_per_device",
                "use up to " + number_text(p.samples_per_device));
  check_share(check, "blocks.input_share", p.blocks.input_share);
  check_share(check, "blocks.score_share", p.blocks.score_share);
  check_share(check, "blocks.score_flops_share", p.blocks.score_flops_share);
  const bool by_block =
      p.recompute != Recompute::None || p.parameter_tier != MemoryTier::HBM || p.activation_tier != MemoryTier::HBM;
  check.require(p.blocks.blocks >= 1 || (!by_block && p.blocks.blocks == 0), "blocks", number_text(p.blocks.blocks),
                "the number of equal blocks, at least 1",
                "recomputation and offload of parameters or activations work block by block");
  check.throw_if_any();
}

class Planner {
 public:
  Planner(const MemoryPlan& plan, const Tiers& tiers)
      : p_(plan), tiers_(tiers), recipe_(state_recipe(plan.precision, plan.optimizer, facts(plan))),
        states_(state_bytes({plan.parameters, 0, static_cast<double>(plan.devices), 1}, recipe_, plan.zero)),
        pieces_(std::max(1.0, plan.blocks.blocks)) {}

  MemoryEstimate run() {
    e_.gradients = states_.gradients;
    place_weights();
    place_optimizer();
    place_activations();
    e_.communication_bytes = communication();
    tier(MemoryTier::HBM) = e_.weights + e_.gradients + e_.optimizer + e_.activations + e_.gathered_parameters;
    return e_;
  }

 private:
  static StateFacts facts(const MemoryPlan& plan) {
    StateFacts f;
    f.gradients = plan.gradients;
    return f;
  }

  double& tier(MemoryTier t) { return e_.tier_bytes[index_of(t)]; }
  double owned() const { return p_.zero >= 1 ? p_.parameters / p_.devices : p_.parameters; }  // updated here
  double wire_gradient_bytes() const {
    return p_.gradients == GradientStorage::Working ? recipe_.gradient_bytes : element_bytes(DType::FP32);
  }
  double two_blocks(double bytes) const { return std::min(bytes, 2 * bytes / pieces_); }

  void move(double bytes, MemoryTier from, MemoryTier to, double times = 1) {
    e_.transfer_bytes += times * bytes;
    e_.transfer_s += times * pieces_ * transfer_seconds(tiers_, bytes / pieces_, from, to);
  }

  void place_weights() {
    const bool away = p_.parameter_tier != MemoryTier::HBM;
    const bool gathered = away || (p_.zero == 3 && p_.devices > 1);
    if (gathered && p_.blocks.blocks > 0) {
      e_.gathered_parameters = two_blocks(p_.parameters * recipe_.weight_bytes);
    }
    if (!away) {
      e_.weights = states_.weights;
      return;
    }
    tier(p_.parameter_tier) += states_.weights;
    move(states_.weights, p_.parameter_tier, MemoryTier::HBM, 2.0 * p_.accumulation_steps);
    if (p_.optimizer_tier == MemoryTier::HBM) move(states_.weights, MemoryTier::HBM, p_.parameter_tier);
  }

  void place_optimizer() {
    if (p_.optimizer_tier == MemoryTier::HBM) {
      e_.optimizer = states_.optimizer;
      return;
    }
    const double gradients = owned() * recipe_.gradient_bytes, weights = owned() * recipe_.weight_bytes;
    tier(p_.optimizer_tier) += states_.optimizer;
    tier(MemoryTier::CPU) += gradients;  // what the host's update reads
    move(gradients, MemoryTier::HBM, MemoryTier::CPU);
    if (p_.parameter_tier != MemoryTier::CPU) move(weights, MemoryTier::CPU, p_.parameter_tier);
    if (p_.optimizer_tier != MemoryTier::CPU) move(states_.optimizer, p_.optimizer_tier, MemoryTier::CPU, 2);
  }

  void place_activations() {
    const double all =
        p_.activations_per_sample * element_bytes(p_.precision) * p_.samples_per_device / p_.accumulation_steps;
    double kept = all, again = 0;
    if (p_.recompute == Recompute::Full) {
      kept = all * p_.blocks.input_share;
      again = (all - kept) / pieces_;
      e_.extra_flops_fraction = 1.0 / 3;
    } else if (p_.recompute == Recompute::Selective) {
      kept = all * (1 - p_.blocks.score_share);
      again = (all - kept) / pieces_;
      e_.extra_flops_fraction = p_.blocks.score_flops_share / 3;
    }
    if (p_.activation_tier != MemoryTier::HBM) {
      tier(p_.activation_tier) += kept;
      move(kept, MemoryTier::HBM, p_.activation_tier, 2.0 * p_.accumulation_steps);
      kept = two_blocks(kept);
    }
    e_.activations = kept + again;
  }

  double communication() const {
    const double f = (p_.devices - 1.0) / p_.devices, steps = p_.accumulation_steps;
    const double gradients = f * p_.parameters * wire_gradient_bytes();
    const double weights = f * p_.parameters * recipe_.weight_bytes;
    switch (p_.zero) {
      case 0: return 2 * gradients;
      case 1: return gradients + weights;
      case 2: return steps * gradients + weights;
      default: return steps * (gradients + 2 * weights);
    }
  }

  const MemoryPlan& p_;
  const Tiers& tiers_;
  StateRecipe recipe_;
  StateBytes states_;
  double pieces_;
  MemoryEstimate e_;
};

}  // namespace

MemoryEstimate estimate(const MemoryPlan& plan, const Tiers& tiers) {
  check_plan(plan);
  Checker check;
  check_tiers(tiers, check);
  check.throw_if_any();
  return Planner(plan, tiers).run();
}

std::array<double, kTierCount> missing_bytes(const MemoryEstimate& estimate, const Tiers& tiers, int devices,
                                             int devices_per_node) {
  const double node = std::min(devices, devices_per_node);
  const std::array<double, kTierCount> sharers = {1, node, node, static_cast<double>(devices)};
  std::array<double, kTierCount> missing{};
  for (std::size_t i = 0; i < kTierCount; ++i) {
    missing[i] = std::max(0.0, estimate.tier_bytes[i] * sharers[i] - tiers[i].capacity_bytes);
  }
  return missing;
}

}  // namespace dts

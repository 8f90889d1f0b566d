// Jobs small enough to work out on paper: a device of round figures without fixed times, a network on which every
// collective takes latency + bytes / rate whatever the group, and a framework that adds nothing.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "memory_blocks.hpp"
#include "test_device.hpp"
#include "training_simulator.hpp"

namespace dts::test {

class WireNetwork final : public Interconnect {
 public:
  // `sms`: multiprocessors that a collective holds, which slows what computes beside it.
  WireNetwork(int devices, double latency_s, double Bps, double sms = 0)
      : devices_(devices), latency_s_(latency_s), Bps_(Bps), sms_(sms) {}

  int device_count() const override { return devices_; }
  bool uniform() const override { return true; }
  RankGroup group(std::vector<int> ranks) const override {
    const int n = static_cast<int>(ranks.size());
    return {std::move(ranks), {n, 1, n, 1}};
  }
  CollectiveCost cost(CollectiveKind, double bytes, const RankGroup&) const override {
    CollectiveCost cost;
    cost.time_s = latency_s_ + bytes / Bps_;
    cost.sms = sms_;
    return cost;
  }
  CollectiveCost exchange(double bytes, const TokenCopies&, const RankGroup& group) const override {
    return cost(CollectiveKind::AllToAll, bytes, group);
  }
  // All of it from the first member to the second, so that a test can add up what was asked for.
  void add_traffic(CollectiveKind, double bytes, double times, const RankGroup& group,
                   std::vector<double>& matrix) const override {
    matrix[static_cast<std::size_t>(group.ranks[0] * devices_ + group.ranks[1])] += times * bytes;
  }
  void add_exchange_traffic(double bytes, const TokenCopies&, double times, const RankGroup& group,
                            std::vector<double>& matrix) const override {
    add_traffic(CollectiveKind::AllToAll, bytes, times, group, matrix);
  }

 private:
  int devices_;
  double latency_s_, Bps_, sms_;
};

// 50 TFLOP/s sustained, 1 TB/s, compute and memory time added, kernels without a floor.
inline DeviceSpec paper_device() {
  DeviceSpec d = dts_test::round_device();
  d.memory.kernel_floor_s = 0;
  return d;
}

inline FrameworkProfile bare_profile() {
  FrameworkProfile p;
  p.name = "bare";
  p.grad_accumulate_bytes = 0;
  p.optimizer_bytes = 0;
  p.host_forward_s_per_op = p.host_backward_s_per_op = p.step_cost_s = 0;
  p.workspace_bytes = p.engine_workspace_bytes = p.context_bytes = 0;
  p.gather_buffers = 0;
  return p;
}

inline Op work(std::string name, double flops_per_row) {
  Op op;
  op.name = std::move(name);
  op.kind = OpKind::Custom;
  op.sharding = Sharding::Replicated;
  op.flops_per_row = flops_per_row;
  op.in_features = op.out_features = 1;
  op.saves_input = false;
  return op;
}

// `layers` blocks of one op of 50 TFLOP per row: 1 s forward, 1 s backward (no weights), nothing kept.
inline ModelSpec paper_model(int layers) {
  ModelSpec m;
  m.name = "paper";
  m.layers = {{{"layer", {work("work", 50e12)}}, layers}};
  m.tokens_per_sample = 1;
  return m;
}

inline ModelSpec small_llama(int layers = 4, double vocabulary = 1024) {
  ModelSpec m;
  m.name = "small-llama";
  m.hidden = 256;
  m.stem = {"stem", {make_op(OpKind::Embedding, "tokens", vocabulary, 256, Sharding::Vocab, false)}};
  m.layers = {{{"layer", llama_layer(256, 8, 4, 32, 512)}, layers}};
  m.head = {"head",
            {make_norm("norm", 256, false), make_op(OpKind::Matmul, "lm_head", 256, vocabulary, Sharding::Column),
             make_op(OpKind::CrossEntropy, "loss", vocabulary, 1, Sharding::Heads)}};
  return m;
}

}  // namespace dts::test

#include "parallel/layout_check.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "error.hpp"
#include "parallel/rank_grid.hpp"
#include "parallel/recompute_check.hpp"
#include "parallel/schedule_check.hpp"
#include "parallel/stages.hpp"

namespace dts {

namespace {

constexpr double kMaxSequence = 1e9;

// "use tp in {1, 2, 4, 8}": divisors of n, at most eight of them, nearest to the value that failed.
std::string divisors_hint(const std::string& axis, long long n, long long failed) {
  std::vector<long long> divisors;
  for (long long d = 1; d <= n && d <= 4096; ++d) {
    if (n % d == 0) divisors.push_back(d);
  }
  while (divisors.size() > 8) {  // drop whichever end is farther from the failed value
    const bool drop_low = failed - divisors.front() > divisors.back() - failed;
    divisors.erase(drop_low ? divisors.begin() : divisors.end() - 1);
  }
  if (divisors.empty()) return "";
  std::string text = "use " + axis + " in {";
  for (std::size_t i = 0; i < divisors.size(); ++i) text += (i ? ", " : "") + std::to_string(divisors[i]);
  return text + "}";
}

template <class Visit>
void for_each_op(const ModelSpec& model, Visit visit) {
  for (const Op& op : model.stem.ops) visit(op);
  for (const auto* runs : {&model.encoder, &model.layers, &model.prediction}) {
    for (const LayerRun& run : *runs) {
      for (const Op& op : run.block.ops) visit(op);
    }
  }
  for (const Op& op : model.head.ops) visit(op);
}

class LayoutChecker {
 public:
  LayoutChecker(Checker& check, const ModelSpec& model, const Strategy& s, long long devices, double seq_len)
      : check_(check), model_(model), s_(s), devices_(devices), seq_len_(seq_len) {
    for (const LayerRun& run : model.encoder) {
      for (const Op& op : run.block.ops) encoders_.insert(&op);
    }
  }

  void run() {
    if (!degrees()) return;
    for (const auto part : {&LayoutChecker::world, &LayoutChecker::batch, &LayoutChecker::sequence,
                            &LayoutChecker::pipeline, &LayoutChecker::tensor_and_experts}) {
      (this->*part)();
      if (!check_.ok() && !check_.keeps_texts()) return;
    }
  }

 private:
  // Whether the rest can be checked at all.
  bool degrees() {
    bool ok = true;
    const auto one = [&](const char* name, int value) {
      ok &= value >= 1 || check_.at_least(std::string("strategy.") + name, value, 1);
    };
    one("vpp", s_.vpp), one("micro_batch", s_.micro_batch), one("global_batch", s_.global_batch);
    ok &= check_.require(s_.zero >= 0 && s_.zero <= 3,
                         [&] { return Violation{"strategy.zero", std::to_string(s_.zero), "0, 1, 2 or 3", ""}; });
    ok &= check_.require(std::isfinite(seq_len_) && seq_len_ >= 1 && seq_len_ <= kMaxSequence,
                         [&] { return Violation{"seq_len", number_text(seq_len_), "1 to 1e9 tokens", ""}; });
    check_grid(check_, s_);
    const double ranks = static_cast<double>(s_.dp) * s_.tp * s_.pp * s_.cp;
    return ok && std::min({s_.dp, s_.tp, s_.pp, s_.cp, s_.ep, s_.etp, s_.cp_a2a}) >= 1 && ranks <= kMaxRanks;
  }

  void world() {
    const long long model_ranks = static_cast<long long>(s_.tp) * s_.pp * s_.cp;
    const bool fits = devices_ % model_ranks == 0;
    check_.require(world_size(s_) == devices_, [&] {
      return Violation{
          "strategy.dp * tp * pp * cp",
          std::to_string(s_.dp) + " * " + std::to_string(s_.tp) + " * " + std::to_string(s_.pp) + " * " +
              std::to_string(s_.cp) + " = " + std::to_string(world_size(s_)),
          "the cluster's " + std::to_string(devices_) + " devices",
          fits ? "use dp=" + std::to_string(devices_ / model_ranks)
               : "tp * pp * cp = " + std::to_string(model_ranks) + " must divide " + std::to_string(devices_)};
    });
  }

  void batch() {
    const long long replica = static_cast<long long>(s_.dp) * s_.micro_batch;
    check_.require(s_.global_batch % replica == 0, [&] {
      const long long up = (s_.global_batch + replica - 1) / replica * replica;
      const std::string down = s_.global_batch >= replica ? std::to_string(up - replica) + " or " : "";
      return Violation{"strategy.global_batch", std::to_string(s_.global_batch),
                       "a multiple of dp * micro_batch = " + std::to_string(replica),
                       "use global_batch " + down + std::to_string(up)};
    });
  }

  void sequence() {
    const auto tokens = static_cast<long long>(seq_len_);
    if (s_.cp > 1) {  // two chunks a rank balance the causal triangle
      check_.require(tokens % (2LL * s_.cp) == 0, [&] {
        return Violation{"strategy.cp", std::to_string(s_.cp), "2 * cp to divide seq_len=" + std::to_string(tokens),
                         divisors_hint("cp", tokens / 2, s_.cp)};
      });
    }
    if (s_.sequence_parallel && s_.tp > 1) {
      check_.require(tokens % (static_cast<long long>(s_.cp) * s_.tp) == 0, [&] {
        return Violation{"strategy.tp", std::to_string(s_.tp),
                         "cp * tp to divide seq_len=" + std::to_string(tokens) + " under sequence parallelism",
                         "or leave sequence_parallel off"};
      });
    }
  }

  void pipeline() {
    const int layers = layer_count(model_);
    const long long stages = static_cast<long long>(s_.pp) * s_.vpp;
    if (s_.layers_per_stage.empty()) {
      const int most = layers + !model_.stem.ops.empty() + !model_.head.ops.empty();  // both ends may stand alone
      check_.require(stages <= most, [&] {
        return Violation{
            "strategy.pp * vpp", std::to_string(stages),
            "at most " + std::to_string(most) + ": one stage per layer, embedding and head of " + model_.name, ""};
      });
    } else {
      explicit_stages(layers, stages);
    }
    check_stage_sizes(check_, layers, s_);
    check_recompute(check_, model_, s_);
    check_schedule(check_, s_);
  }

  void explicit_stages(int layers, long long stages) {
    long long sum = 0;
    bool counts_ok = true;
    for (int count : s_.layers_per_stage) {
      counts_ok &= count >= 0;
      sum += count;
    }
    check_.require(static_cast<long long>(s_.layers_per_stage.size()) == stages, [&] {
      return Violation{"strategy.layers_per_stage", std::to_string(s_.layers_per_stage.size()) + " entries",
                       "pp * vpp = " + std::to_string(stages), ""};
    });
    check_.require(counts_ok && sum == layers, [&] {
      return Violation{"strategy.layers_per_stage", "a sum of " + std::to_string(sum),
                       "non-negative counts that sum to " + std::to_string(layers) + " layers", ""};
    });
  }

  void tensor_and_experts() {
    std::set<std::string> reported;  // one line per rule, not per layer
    const auto divides = [&](const char* axis, int degree, double features, const char* what, const Op* op = nullptr) {
      const auto n = static_cast<long long>(features);
      if (n % degree == 0) return;
      const std::string rule =
          std::string(axis) + " to divide " + what + (op ? op->name : "") + "=" + std::to_string(n);
      if (reported.insert(rule).second) {
        check_.fail(std::string("strategy.") + axis, std::to_string(degree), rule, divisors_hint(axis, n, degree));
      }
    };
    double experts = 0;
    for_each_op(model_, [&](const Op& op) {
      if ((op.kind == OpKind::Attention || op.kind == OpKind::Scan) && s_.tp > 1) {
        divides("tp", s_.tp, op.heads, "attention heads");
        divides("tp", s_.tp, op.kv_heads, op.kind == OpKind::Scan ? "state groups" : "kv heads");
      }
      if (op.kind == OpKind::Attention && s_.cp > 1 && !encoders_.count(&op)) context(op, reported);
      if (op.kind == OpKind::Scan && s_.cp > 1) {
        check_.require(std::fmod(op.heads, static_cast<double>(s_.tp) * s_.cp) == 0, [&] {
          return Violation{"strategy.cp", std::to_string(s_.cp),
                           "cp * tp to divide the " + number_text(op.heads) + " heads of " + op.name, ""};
        });
      }
      // Vocabularies are padded to a multiple of tp, so only inner features are checked.
      if (op.sharding == Sharding::Row && op.kind == OpKind::Matmul)
        divides("tp", s_.tp, op.in_features, "features of ", &op);
      if (op.kind == OpKind::GroupedMatmul) {
        experts = op.experts;
        divides("ep", s_.ep, op.experts, "experts");
        if (op.sharding == Sharding::ExpertRow) divides("etp", s_.etp, op.in_features, "expert features of ", &op);
      }
    });
    check_.require(s_.ep == 1 || experts > 0, [&] {
      return Violation{"strategy.ep", std::to_string(s_.ep), "1 for a model without experts", "use ep=1"};
    });
    check_routing(check_, s_, experts);
    if (experts == 0) return;
    check_.require(s_.ep == 1 || s_.tp == 1 || s_.sequence_parallel, [&] {
      return Violation{"strategy.sequence_parallel", "false", "true when ep > 1 and tp > 1",
                       "use sequence_parallel=True"};
    });
    check_.require(s_.etp <= s_.tp || s_.tp == 1 || s_.sequence_parallel, [&] {
      return Violation{"strategy.etp", std::to_string(s_.etp),
                       "at most tp=" + std::to_string(s_.tp) + " without sequence parallelism",
                       "use sequence_parallel=True"};
    });
  }

  // Transformer Engine's limits; kv heads fewer than the ranks are copied (NVlabs/Long-RL ulysses_attn.py).
  void context(const Op& op, std::set<std::string>& reported) {
    const int split = head_split(s_);
    const auto heads = static_cast<long long>(op.heads) / s_.tp, kv_heads = static_cast<long long>(op.kv_heads) / s_.tp;
    const auto broken = [&](const std::string& got, const std::string& expected, const std::string& mend) {
      if (reported.insert(expected).second) check_.fail("strategy.cp_comm", got, expected, mend);
    };
    if (heads % split != 0) {
      broken("heads split " + std::to_string(split) + " ways",
             "a divisor of the " + std::to_string(heads) + " attention heads of a tensor-parallel rank",
             "use cp_comm=\"p2p\" or a smaller cp");
    }
    if (kv_heads == 0 || (kv_heads % split != 0 && split % kv_heads != 0)) {
      broken("heads split " + std::to_string(split) + " ways",
             "a divisor or a multiple of the " + std::to_string(kv_heads) + " kv heads of a tensor-parallel rank",
             "use cp_comm=\"p2p\" or another cp");
    }
    const bool ring = split < s_.cp && s_.cp_comm != ContextComm::AllGather;
    if (ring && (op.window != 0 || op.chunk != 0)) {
      broken("p2p", "all_gather or a2a for the sliding window or chunks of " + op.name, "use cp_comm=\"all_gather\"");
    }
  }

  Checker& check_;
  const ModelSpec& model_;
  const Strategy& s_;
  long long devices_;
  double seq_len_;
  std::set<const Op*> encoders_;  // their tokens are not split
};

}  // namespace

void check_layout(Checker& check, const ModelSpec& model, const Strategy& strategy, long long devices, double seq_len) {
  LayoutChecker(check, model, strategy, devices, seq_len).run();
}

void check_layout(const ModelSpec& model, const Strategy& strategy, long long devices, double seq_len) {
  Checker check;
  check_layout(check, model, strategy, devices, seq_len);
  check.throw_if_any();
}

}  // namespace dts

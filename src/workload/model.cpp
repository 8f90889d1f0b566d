#include "workload/model.hpp"

#include <algorithm>
#include <set>

#include "error.hpp"

namespace dts {

namespace {

constexpr int kMaxLayers = 100000;
constexpr std::size_t kMaxOpsPerBlock = 10000;

double tied_parameters(const ModelSpec& model) {
  if (!model.tied_embeddings) return 0;
  for (const Op& op : model.stem.ops) {
    if (op.kind == OpKind::Embedding) return op.in_features * op.out_features;
  }
  return 0;
}

void check_op(Checker& check, const std::string& where, const Op& op) {
  for (double value :
       {op.in_features, op.out_features, op.extra_parameters, op.heads, op.kv_heads, op.qk_head_dim, op.v_head_dim,
        op.window, op.chunk, op.experts, op.top_k, op.forward_bytes_per_element, op.backward_bytes_per_element,
        op.saved_bytes_per_row, op.flops_per_row, op.output_positions, op.kernel_area, op.input_positions}) {
    if (!check.non_negative(where, value)) return;
  }
  if (op.kind == OpKind::Attention || op.kind == OpKind::Scan) {
    check.require(op.heads >= 1 && op.kv_heads >= 1 && op.qk_head_dim >= 1 && op.v_head_dim >= 1, where,
                  "heads " + number_text(op.heads) + ", kv_heads " + number_text(op.kv_heads), "all dimensions >= 1");
  }
  if (op.kind == OpKind::Matmul || op.kind == OpKind::GroupedMatmul || op.kind == OpKind::Embedding) {
    check.require(op.in_features >= 1 && op.out_features >= 1, where,
                  number_text(op.in_features) + " x " + number_text(op.out_features), "both features >= 1");
  }
  if (op.kind == OpKind::GroupedMatmul || op.kind == OpKind::Router || op.kind == OpKind::Dispatch ||
      op.kind == OpKind::Combine) {
    check.require(op.experts >= 1 && op.top_k >= 1 && op.top_k <= op.experts, where,
                  "experts " + number_text(op.experts) + ", top_k " + number_text(op.top_k), "1 <= top_k <= experts");
  }
  check.positive(where + ".groups", op.groups);
  check.positive(where + ".norm_groups", op.norm_groups);
}

void check_block(Checker& check, const Block& block) {
  check.require(block.ops.size() <= kMaxOpsPerBlock, "block " + block.name, std::to_string(block.ops.size()) + " ops",
                "at most " + std::to_string(kMaxOpsPerBlock));
  std::set<std::string> seen;
  for (const Op& op : block.ops) {
    const std::string where = "block " + block.name + ", op " + op.name;
    check_op(check, where, op);
    check.require(op.input.empty() || op.input == kBlockInput || seen.count(op.input) > 0, where + ".input", op.input,
                  "the name of an earlier op");
    check.require(seen.insert(op.name).second, where, "a second op of this name", "unique names in a block");
  }
}

}  // namespace

int layer_count(const ModelSpec& model) {
  int layers = 0;
  for (const LayerRun& run : model.layers) layers += run.repeat;
  return layers;
}

double parameter_count(const Block& block) {
  double total = 0;
  for (const Op& op : block.ops) total += parameter_count(op);
  return total;
}

double parameter_count(const ModelSpec& model) {
  double total = parameter_count(model.stem) + parameter_count(model.head) - tied_parameters(model);
  for (const auto* runs : {&model.encoder, &model.layers, &model.prediction}) {
    for (const LayerRun& run : *runs) total += run.repeat * parameter_count(run.block);
  }
  return total;
}

bool has_experts(const ModelSpec& model) {
  return std::any_of(model.layers.begin(), model.layers.end(), [](const LayerRun& run) {
    return std::any_of(run.block.ops.begin(), run.block.ops.end(),
                       [](const Op& op) { return op.kind == OpKind::GroupedMatmul; });
  });
}

double active_parameter_count(const ModelSpec& model) {
  double idle = 0;
  for (const auto* runs : {&model.layers, &model.prediction}) {
    for (const LayerRun& run : *runs) {
      for (const Op& op : run.block.ops) {
        if (op.kind == OpKind::GroupedMatmul) idle += run.repeat * parameter_count(op) * (1 - op.top_k / op.experts);
      }
    }
  }
  return parameter_count(model) - idle;
}

void check_model(const ModelSpec& model) {
  Checker check;
  check.non_negative("model.tokens_per_sample", model.tokens_per_sample);
  check.non_negative("model.hidden", model.hidden);
  long long layers = 0;
  for (const LayerRun& run : model.layers) {
    if (check.at_least("model.layers[" + run.block.name + "].repeat", run.repeat, 1)) layers += run.repeat;
    check_block(check, run.block);
  }
  check.require(layers >= 1 && layers <= kMaxLayers, "model.layers", std::to_string(layers) + " layers",
                "1 to " + std::to_string(kMaxLayers));
  for (const auto* runs : {&model.encoder, &model.prediction}) {
    for (const LayerRun& run : *runs) {
      check.require(run.repeat >= 1 && run.repeat <= kMaxLayers, "model." + run.block.name + ".repeat",
                    std::to_string(run.repeat), "1 to " + std::to_string(kMaxLayers));
      check.non_negative("block " + run.block.name + ".tokens_per_sample", run.block.tokens_per_sample);
      check_block(check, run.block);
    }
  }
  check_block(check, model.stem);
  check_block(check, model.head);
  check.throw_if_any();
}

}  // namespace dts

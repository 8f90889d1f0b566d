#include "parallel/recompute_modules.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>

namespace dts {

namespace {

constexpr std::array<std::string_view, 7> kNames = {"core_attn", "mlp",         "moe",           "moe_act",
                                                    "layernorm", "mla_up_proj", "shared_experts"};

constexpr std::array<std::string_view, 7> kOffloadNames = {"attn_norm", "qkv_linear", "core_attn", "attn_proj",
                                                           "mlp_norm",  "expert_fc1", "moe_act"};

class Finder {
 public:
  explicit Finder(const std::vector<Op>& ops) : ops_(ops), producers_(producers_of(ops)) {}

  std::vector<RecomputeRegion> find(RecomputeModule module) {
    discards_ = module == RecomputeModule::MoeActivation || module == RecomputeModule::LayerNorm ||
                module == RecomputeModule::MlaUpProjection;
    switch (module) {
      case RecomputeModule::CoreAttention:
        each([&](std::size_t i) { return ops_[i].kind == OpKind::Attention; });
        break;
      case RecomputeModule::Mlp:
        if (!routed()) feed_forwards(0);
        break;
      case RecomputeModule::SharedExperts:
        if (routed()) feed_forwards(first(OpKind::Combine) + 1);
        break;
      case RecomputeModule::Moe:
        if (routed()) experts();
        break;
      case RecomputeModule::MoeActivation:
        each([&](std::size_t i) { return ops_[i].kind == OpKind::Activation && ops_[i].rows == Rows::Routed; });
        break;
      case RecomputeModule::LayerNorm: each([&](std::size_t i) { return norms_the_stream(i); }); break;
      case RecomputeModule::MlaUpProjection: up_projections(); break;
    }
    return std::move(found_);
  }

  bool offloads(std::size_t i, OffloadModule module) const {
    const Op& op = ops_[i];
    const std::size_t attention = first(OpKind::Attention);
    const bool before = i < attention && attention<ops_.size(), after = i> attention || attention == ops_.size();
    const int from = producers_[i];
    const bool reads_norm = from >= 0 && norms_the_stream(static_cast<std::size_t>(from));
    switch (module) {
      case OffloadModule::AttnNorm: return before && norms_the_stream(i);
      case OffloadModule::QkvLinear: return before && op.kind == OpKind::Matmul && reads_norm;
      case OffloadModule::CoreAttention: return op.kind == OpKind::Attention;
      case OffloadModule::AttnProj:
        return op.kind == OpKind::Matmul && from == static_cast<int>(attention) && attention < ops_.size();
      case OffloadModule::MlpNorm: return after && norms_the_stream(i);
      case OffloadModule::ExpertFc1: return op.kind == OpKind::GroupedMatmul && op.sharding == Sharding::ExpertColumn;
      case OffloadModule::MoeActivation: return op.kind == OpKind::Activation && op.rows == Rows::Routed;
    }
    return false;
  }

 private:
  template <class Test>
  void each(Test test) {
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      if (test(i)) take(i, i);
    }
  }
  void take(std::size_t from, std::size_t to) {
    const auto at = [](std::size_t i) { return static_cast<std::ptrdiff_t>(i); };
    found_.push_back({std::vector<char>(ops_.size(), 0), discards_});
    std::fill(found_.back().ops.begin() + at(from), found_.back().ops.begin() + at(to) + 1, 1);
  }

  std::size_t first(OpKind kind) const {
    const auto found = std::find_if(ops_.begin(), ops_.end(), [&](const Op& op) { return op.kind == kind; });
    return static_cast<std::size_t>(found - ops_.begin());
  }
  bool routed() const { return first(OpKind::Dispatch) < ops_.size(); }
  bool is_sum(std::size_t i) const { return ops_[i].kind == OpKind::Elementwise && !ops_[i].saves_input; }

  bool norms_the_stream(std::size_t i) const {
    if (ops_[i].kind != OpKind::Norm) return false;
    const int from = producers_[i];
    if (from >= 0 && ops_[static_cast<std::size_t>(from)].kind != OpKind::Elementwise &&
        ops_[static_cast<std::size_t>(from)].kind != OpKind::Dropout)
      return false;
    for (std::size_t j = i + 1; j < ops_.size(); ++j) {
      const OpKind kind = ops_[j].kind;
      if (producers_[j] == static_cast<int>(i) &&
          (kind == OpKind::Matmul || kind == OpKind::Router || kind == OpKind::Dispatch))
        return true;
    }
    return false;
  }

  // From the first matmul after `from` whose branch meets an activation, to the matmul that reads it and its own scale.
  void feed_forwards(std::size_t from) {
    for (std::size_t i = from; i < ops_.size(); ++i) {
      if (ops_[i].kind != OpKind::Activation || producers_[i] < 0) continue;
      std::size_t begin = static_cast<std::size_t>(producers_[i]), end = i;
      while (end < ops_.size() && ops_[end].kind != OpKind::Matmul) ++end;
      if (ops_[begin].kind != OpKind::Matmul || end == ops_.size()) continue;
      if (from > 0) {  // shared experts: their gate before, its product after
        begin = from;
        while (end + 1 < ops_.size() && ops_[end + 1].kind == OpKind::Elementwise && ops_[end + 1].saves_input) ++end;
      }
      take(begin, end);
    }
  }

  void experts() {
    std::size_t end = first(OpKind::Combine);
    for (std::size_t i = end + 1; i < ops_.size(); ++i) {
      if (ops_[i].kind != OpKind::Activation) continue;
      for (end = i; end + 1 < ops_.size() && !is_sum(end);) ++end;  // the sum of shared and routed experts
    }
    take(std::min(first(OpKind::Router), first(OpKind::Dispatch)), std::min(end, ops_.size() - 1));
  }

  // Latent attention: a norm of a matmul's output before attention says that projections are compressed.
  void up_projections() {
    const std::size_t attention = first(OpKind::Attention);
    if (attention == ops_.size()) return;
    bool latent = false;
    for (std::size_t i = 0; i < attention; ++i) {
      const int from = producers_[i];
      latent |= ops_[i].kind == OpKind::Norm && ops_[i].sharding != Sharding::Heads && from >= 0 &&
                ops_[static_cast<std::size_t>(from)].kind == OpKind::Matmul;
    }
    if (!latent) return;
    RecomputeRegion region{std::vector<char>(ops_.size(), 0), discards_};
    bool after = false;
    for (std::size_t i = 0; i < attention; ++i) {
      const bool up = ops_[i].kind == OpKind::Matmul && ops_[i].sharding == Sharding::Column;
      after |= up;
      region.ops[i] = up || (after && ops_[i].kind == OpKind::Elementwise);
    }
    if (after) found_.push_back(std::move(region));
  }

  const std::vector<Op>& ops_;
  std::vector<int> producers_;
  bool discards_ = false;
  std::vector<RecomputeRegion> found_;
};

}  // namespace

std::string_view name_of(RecomputeModule module) noexcept { return kNames[static_cast<std::size_t>(module)]; }

std::string_view name_of(OffloadModule module) noexcept { return kOffloadNames[static_cast<std::size_t>(module)]; }

std::size_t RecomputeRegion::last() const noexcept {
  return static_cast<std::size_t>(ops.rend() - std::find(ops.rbegin(), ops.rend(), 1)) - 1;
}

std::vector<int> producers_of(const std::vector<Op>& ops) {
  std::map<std::string, int> index;
  std::vector<int> producers;
  for (const Op& op : ops) {
    int from = static_cast<int>(producers.size()) - 1;
    if (!op.input.empty()) {
      const auto named = index.find(op.input);
      from = named == index.end() ? -1 : named->second;
    }
    index[op.name] = static_cast<int>(producers.size());
    producers.push_back(from);
  }
  return producers;
}

std::vector<RecomputeRegion> recompute_regions(const std::vector<Op>& ops,
                                               const std::vector<RecomputeModule>& modules) {
  std::vector<RecomputeRegion> regions;
  for (RecomputeModule module : modules) {
    for (RecomputeRegion& region : Finder(ops).find(module)) regions.push_back(std::move(region));
  }
  std::stable_partition(regions.begin(), regions.end(), [](const RecomputeRegion& r) { return !r.discards_output; });
  return regions;
}

std::vector<char> offloaded_inputs(const std::vector<Op>& ops, const std::vector<OffloadModule>& modules) {
  const Finder finder(ops);
  std::vector<char> inputs(ops.size(), 0);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    inputs[i] =
        std::any_of(modules.begin(), modules.end(), [&](OffloadModule module) { return finder.offloads(i, module); });
  }
  return inputs;
}

}  // namespace dts

#include "trace/flows.hpp"

#include <algorithm>
#include <unordered_map>

namespace dts {

namespace {

// Ranks of one replica of the pipeline stand at the same place among those of their stage.
class Replicas {
 public:
  explicit Replicas(const EventTable& events) {
    for (const TaskInfo& t : events.tasks) {
      if (t.stream != StreamKind::Compute) continue;
      std::vector<std::int32_t>& ranks = of_stage(t.stage);
      if (ranks.empty() || ranks.back() != t.rank) ranks.push_back(t.rank);
    }
    for (std::vector<std::int32_t>& ranks : ranks_) {
      std::sort(ranks.begin(), ranks.end());
      ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
    }
  }
  std::uint64_t place(const TaskInfo& t) const {
    const std::vector<std::int32_t>& ranks = ranks_[static_cast<std::size_t>(t.stage)];
    return static_cast<std::uint64_t>(std::lower_bound(ranks.begin(), ranks.end(), t.rank) - ranks.begin());
  }

 private:
  std::vector<std::int32_t>& of_stage(std::int32_t stage) {
    if (static_cast<std::size_t>(stage) >= ranks_.size()) ranks_.resize(static_cast<std::size_t>(stage) + 1);
    return ranks_[static_cast<std::size_t>(stage)];
  }
  std::vector<std::vector<std::int32_t>> ranks_;
};

std::uint64_t key_of(bool forward, int from_stage, int micro_batch, std::uint64_t place) {
  return ((place << 20 | static_cast<std::uint64_t>(micro_batch & 0xfffff)) << 20 |
          static_cast<std::uint64_t>(from_stage & 0xfffff))
             << 1 |
         (forward ? 1 : 0);
}

bool computes_forward(TaskKind kind) { return kind == TaskKind::Forward; }
bool gives_gradient(TaskKind kind) { return kind == TaskKind::Backward || kind == TaskKind::InputGrad; }

}  // namespace

EventFlows flows_of(const EventTable& events) {
  const std::size_t n = events.tasks.size();
  EventFlows flows{std::vector<std::uint32_t>(n, 0), std::vector<std::uint32_t>(n, 0)};
  const Replicas replicas(events);
  struct Flow {
    std::uint32_t number = 0;
    bool read = false;  // by the first piece of its pass
  };
  std::unordered_map<std::uint64_t, Flow> known;
  for (std::size_t i = 0; i < n; ++i) {
    const TaskInfo& t = events.tasks[i];
    if (t.kind != TaskKind::PipelineSend) continue;
    Flow& flow = known[key_of(t.stream == StreamKind::SendForward, t.stage, t.micro_batch, replicas.place(t))];
    flow.number = static_cast<std::uint32_t>(known.size());
    flows.leaves[i] = flow.number;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const TaskInfo& t = events.tasks[i];
    const bool forward = computes_forward(t.kind);
    if (!forward && !gives_gradient(t.kind)) continue;
    const int from = forward ? t.stage - 1 : t.stage + 1;
    const auto found = from < 0 ? known.end() : known.find(key_of(forward, from, t.micro_batch, replicas.place(t)));
    if (found == known.end() || found->second.read) continue;
    found->second.read = true;
    flows.arrives[i] = found->second.number;
  }
  return flows;
}

}  // namespace dts

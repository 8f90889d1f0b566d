#include "search/evaluate.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_map>

#include "error.hpp"
#include "search/parallel_for.hpp"

namespace dts {

namespace {

constexpr std::size_t kRowsAtOnce = 16;  // neighbours share prices

constexpr const char* kNames[kEvaluationColumns] = {"step_time_s",
                                                    "tokens_per_s",
                                                    "mfu",
                                                    "mfu_full_attention",
                                                    "hfu",
                                                    "micro_batches",
                                                    "tasks",
                                                    "allocated_bytes",
                                                    "reserved_bytes",
                                                    "used_bytes",
                                                    "oom_probability",
                                                    "host_bytes",
                                                    "nvme_bytes",
                                                    "remote_bytes",
                                                    "forward_s",
                                                    "backward_s",
                                                    "recompute_s",
                                                    "optimizer_s",
                                                    "exposed_tp_s",
                                                    "exposed_cp_s",
                                                    "exposed_ep_s",
                                                    "exposed_dp_s",
                                                    "offload_s",
                                                    "pipeline_s",
                                                    "interference_s",
                                                    "contention_s",
                                                    "straggler_s",
                                                    "host_s",
                                                    "fixed_s",
                                                    "communication_tp_s",
                                                    "communication_cp_s",
                                                    "communication_ep_s",
                                                    "communication_dp_s",
                                                    "communication_pp_s",
                                                    "communication_tp_exposed_s",
                                                    "communication_cp_exposed_s",
                                                    "communication_ep_exposed_s",
                                                    "communication_dp_exposed_s",
                                                    "communication_pp_exposed_s"};

using Row = std::array<double, kEvaluationColumns>;

struct Memory {
  double allocated = 0, outside = 0, fill = -1, oom = 0;  // of the stage that fills its devices most; oom: the worst
  TierBytes tiers{};
  bool fits = true;
};

Memory worst_memory(const StepResult& r, const FrameworkProfile& profile, const EvaluateOptions& options) {
  Memory worst;
  for (std::size_t stage = 0; stage < r.memory.size(); ++stage) {
    const MemoryReport& report = r.memory[stage];
    const double allocated = report.allocated(), capacity = r.capacity_bytes[stage];
    const double fill = allocated * profile.reserved_factor / capacity;
    const double oom = out_of_memory_probability(allocated * options.failure_factor, capacity - report.outside());
    if (fill > worst.fill) worst.fill = fill, worst.allocated = allocated, worst.outside = report.outside();
    worst.oom = std::max(worst.oom, oom);
    worst.fits = worst.fits && oom < 0.5;
    for (std::size_t tier = 0; tier < report.tiers.size(); ++tier) {
      worst.tiers[tier] = std::max(worst.tiers[tier], report.tiers[tier]);
      worst.fits = worst.fits &&
                   (options.tier_capacity_bytes[tier] < 0 || report.tiers[tier] <= options.tier_capacity_bytes[tier]);
    }
  }
  return worst;
}

Row row_of(const StepResult& r, const Memory& memory, double reserved_factor) {
  const Breakdown& b = r.mean;
  Row row = {r.step_time_s,
             r.tokens_per_step / r.step_time_s,
             r.mfu(),
             r.mfu_full(),
             r.hfu(),
             static_cast<double>(r.micro_batches),
             r.tasks,
             memory.allocated,
             memory.allocated * reserved_factor,
             memory.allocated * reserved_factor + memory.outside,
             memory.oom,
             memory.tiers[1],
             memory.tiers[2],
             memory.tiers[3],
             b.forward_s,
             b.backward_s,
             b.recompute_s,
             b.optimizer_s,
             b.exposed_tp_s,
             b.exposed_cp_s,
             b.exposed_ep_s,
             b.exposed_dp_s,
             b.offload_s,
             b.pipeline_s,
             b.interference_s,
             b.contention_s,
             b.straggler_s,
             b.host_s,
             b.fixed_s};
  for (std::size_t axis = 0; axis < kCommAxes; ++axis) {
    row[kEvaluationColumns - 2 * kCommAxes + axis] = r.mean_communication[axis].total_s;
    row[kEvaluationColumns - kCommAxes + axis] = r.mean_communication[axis].exposed_s;
  }
  return row;
}

class Evaluator {
 public:
  Evaluator(const Job& basis, const StrategyTable& table, const EvaluateOptions& options, Evaluations& out,
            std::vector<std::string>& refused, BookShelf& shelf)
      : job_(basis), table_(table), options_(options), out_(out), refused_(refused), book_(shelf) {}

  void row(std::size_t i) {
    table_.read(i, job_.strategy);
    SimulateOptions options;
    options.keep_events = false;
    try {
      // Devices of further kinds of nodes are copied for each step, and a book knows devices by where they are.
      const StepResult result =
          job_.network.node_kinds() > 1 ? simulate(job_, options) : simulate(job_, options, *book_);
      const Memory memory = worst_memory(result, job_.profile, options_);
      out_.status[i] = memory.fits ? RowStatus::Fits : RowStatus::DoesNotFit;
      const Row values = row_of(result, memory, job_.profile.reserved_factor);
      for (std::size_t c = 0; c < kEvaluationColumns; ++c) out_.columns[c][i] = values[c];
    } catch (const DtsError& error) {
      out_.status[i] = RowStatus::Illegal;
      refused_[i] = error.what();
    }
  }

 private:
  Job job_;
  const StrategyTable& table_;
  const EvaluateOptions& options_;
  Evaluations& out_;
  std::vector<std::string>& refused_;  // per row
  BookShelf::Loan book_;
};

void number_reasons(const std::vector<std::string>& refused, Evaluations& out) {
  std::unordered_map<std::string, std::int32_t> known;
  for (std::size_t i = 0; i < refused.size(); ++i) {
    if (out.status[i] != RowStatus::Illegal) continue;
    const auto [entry, is_new] = known.try_emplace(refused[i], static_cast<std::int32_t>(out.reasons.size()));
    if (is_new) out.reasons.push_back(refused[i]);
    out.reason[i] = entry->second;
  }
}

}  // namespace

const char* const* evaluation_columns() noexcept { return kNames; }

Evaluations evaluate(const Job& job, const StrategyTable& table, const EvaluateOptions& options, BookShelf& shelf) {
  check_table(table);
  Evaluations out;
  out.status.assign(table.rows, RowStatus::Illegal);
  out.reason.assign(table.rows, -1);
  out.columns.assign(kEvaluationColumns, std::vector<double>(table.rows, std::numeric_limits<double>::quiet_NaN()));
  std::vector<std::string> refused(table.rows);
  const std::size_t batches = (table.rows + kRowsAtOnce - 1) / kRowsAtOnce;
  parallel_for(batches, options.threads, [&] {
    return [&, evaluator = std::make_shared<Evaluator>(job, table, options, out, refused, shelf)](std::size_t batch) {
      const std::size_t end = std::min(table.rows, (batch + 1) * kRowsAtOnce);
      for (std::size_t i = batch * kRowsAtOnce; i < end; ++i) evaluator->row(i);
    };
  });
  number_reasons(refused, out);
  return out;
}

}  // namespace dts

// Rows of a table are what `simulate` says of them, bit for bit; bounds lie below; a table that contradicts itself is
// refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "error.hpp"
#include "search/bounds.hpp"
#include "search/evaluate.hpp"
#include "search/legal.hpp"
#include "small_jobs.hpp"

namespace {

using namespace dts;

struct Search {
  ModelSpec model = test::small_llama();
  DeviceSpec device = test::paper_device();
  test::WireNetwork network{8, 1e-6, 1e10};
  StrategyTable table;

  // Every tp, pp, zero, schedule and recomputation of eight devices; tp=8 is more than four key/value heads.
  Search() {
    Strategy base;
    base.global_batch = 16;
    table.bases = {base};
    std::vector<double> tp, pp, dp, etp, zero, schedule, recompute;
    for (double t : {1, 2, 8})
      for (double p : {1, 2, 4})
        for (double z : {0, 1, 3})
          for (const PipelineSchedule kind :
               {PipelineSchedule::OneFOneB, PipelineSchedule::GPipe, PipelineSchedule::ZbH1})
            for (const Recompute kept : {Recompute::None, Recompute::Full}) {
              tp.push_back(t), pp.push_back(p), dp.push_back(std::max(1.0, 8 / (t * p))), etp.push_back(t),
                  zero.push_back(z);
              schedule.push_back(static_cast<double>(kind)), recompute.push_back(static_cast<double>(kept));
            }
    table.rows = tp.size();
    const auto add = [&](const char* name, std::vector<double> values) {
      table.columns.push_back({&strategy_field(name), std::move(values)});
    };
    add("tp", tp), add("pp", pp), add("dp", dp), add("etp", etp), add("zero", zero), add("schedule", schedule),
        add("recompute", recompute);
  }
  Job job() const { return job({}); }
  Job job(Strategy s) const { return {model, device, network, std::move(s), test::bare_profile(), 64}; }
};

double column(const Evaluations& found, const std::string& name, std::size_t row) {
  for (std::size_t i = 0; i < kEvaluationColumns; ++i)
    if (name == evaluation_columns()[i]) return found.columns[i][row];
  ADD_FAILURE() << "no column " << name;
  return 0;
}

TEST(Search, RowsAreWhatSimulateSays) {
  const Search search;
  BookShelf shelf;
  const Evaluations found = evaluate(search.job(), search.table, {}, shelf);
  int legal = 0;
  for (std::size_t row = 0; row < search.table.rows; ++row) {
    const Job job = search.job(search.table.at(row));
    if (found.status[row] == RowStatus::Illegal) {
      EXPECT_FALSE(is_legal(job)) << row;
      EXPECT_THROW(simulate(job), ConfigError) << row;
      EXPECT_FALSE(found.reasons[static_cast<std::size_t>(found.reason[row])].empty());
      EXPECT_TRUE(std::isnan(column(found, "step_time_s", row)));
      continue;
    }
    ++legal;
    SimulateOptions options;
    options.keep_events = false;
    const StepResult step = simulate(job, options);
    EXPECT_EQ(column(found, "step_time_s", row), step.step_time_s) << row;
    EXPECT_EQ(column(found, "mfu", row), step.mfu()) << row;
    EXPECT_EQ(column(found, "tokens_per_s", row), step.tokens_per_step / step.step_time_s) << row;
    EXPECT_EQ(found.reason[row], -1) << row;
  }
  EXPECT_GT(legal, 50);
  EXPECT_LT(legal, static_cast<int>(search.table.rows));
}

TEST(Search, ThreadsAndTheFilterAgree) {
  const Search search;
  BookShelf shelf;
  const Evaluations one = evaluate(search.job(), search.table, {}, shelf);
  EvaluateOptions options;
  options.threads = 3;
  const Evaluations three = evaluate(search.job(), search.table, options, shelf);
  EXPECT_EQ(one.status, three.status);
  EXPECT_EQ(one.reasons, three.reasons);
  for (std::size_t c = 0; c < kEvaluationColumns; ++c)
    for (std::size_t row = 0; row < search.table.rows; ++row) {
      const double a = one.columns[c][row], b = three.columns[c][row];
      EXPECT_TRUE(a == b || (std::isnan(a) && std::isnan(b))) << evaluation_columns()[c] << row;
    }
  const std::vector<std::uint8_t> legal = legal_rows(search.job(), search.table, 2, shelf);
  for (std::size_t row = 0; row < search.table.rows; ++row)
    EXPECT_EQ(legal[row] == 1, one.status[row] != RowStatus::Illegal) << row;
}

TEST(Search, BoundsLieBelowWhatRowsTake) {
  const Search search;
  BookShelf shelf;
  const Evaluations found = evaluate(search.job(), search.table, {}, shelf);
  const StrategyBounds bounds = strategy_bounds(search.job(), search.table, {}, 2, shelf);
  const StrategyBounds time_alone = strategy_bounds(search.job(), search.table, {false}, 1, shelf);
  EXPECT_EQ(time_alone.step_time_s.size(), search.table.rows);
  for (std::size_t row = 0; row < search.table.rows; ++row) {
    if (found.status[row] == RowStatus::Illegal) {
      EXPECT_TRUE(std::isnan(bounds.step_time_s[row])) << row;
      continue;
    }
    EXPECT_LE(bounds.step_time_s[row], column(found, "step_time_s", row) * (1 + 1e-12)) << row;
    EXPECT_GT(bounds.step_time_s[row], 0.2 * column(found, "step_time_s", row)) << row;  // and are of use
    EXPECT_LE(bounds.allocated_bytes[row], column(found, "allocated_bytes", row) * (1 + 1e-12)) << row;
    EXPECT_GT(bounds.allocated_bytes[row], 0) << row;
    EXPECT_EQ(time_alone.step_time_s[row], bounds.step_time_s[row]);
    const double room = 0.99 * bounds.allocated_bytes[row];
    EXPECT_TRUE(std::isinf(strategy_bounds(search.job(), search.table, {true, room}, 1, shelf).step_time_s[row]));
  }
}

TEST(Search, ARowThatDoesNotFitSaysSo) {
  Search search;
  BookShelf shelf;
  search.device.hbm_bytes = 1e6;
  const Evaluations found = evaluate(search.job(), search.table, {}, shelf);
  EXPECT_EQ(std::count(found.status.begin(), found.status.end(), RowStatus::Fits), 0);
  const auto at = std::find(found.status.begin(), found.status.end(), RowStatus::DoesNotFit);
  ASSERT_NE(at, found.status.end());
  EXPECT_TRUE(std::isfinite(column(found, "step_time_s", static_cast<std::size_t>(at - found.status.begin()))));
}

TEST(Search, TablesThatContradictThemselvesAreRefused) {
  EXPECT_THROW(strategy_field("no_such_field"), ConfigError);
  for (const StrategyField& field : strategy_fields()) {  // every field reads what it wrote
    Strategy s;
    const double value = field.get(s);
    field.set(s, value);
    EXPECT_EQ(field.get(s), value) << field.name;
  }
  Search search;
  BookShelf shelf;
  search.table.columns[0].values.pop_back();
  EXPECT_THROW(check_table(search.table), ConfigError);
  search = {};
  search.table.base_of.assign(search.table.rows, 1);  // the second of one
  EXPECT_THROW(check_table(search.table), ConfigError);
  search = {};
  search.table.bases.clear();
  EXPECT_THROW(check_table(search.table), ConfigError);
}

TEST(Search, AJobAtFaultIsRefusedWhateverTheStrategy) {
  Search search;
  BookShelf shelf;
  search.device.hbm_Bps = -1;
  const Evaluations found = evaluate(search.job(), search.table, {}, shelf);
  EXPECT_EQ(std::count(found.status.begin(), found.status.end(), RowStatus::Illegal),
            static_cast<long>(search.table.rows));
  EXPECT_NE(found.reasons.front().find("hbm_Bps"), std::string::npos) << found.reasons.front();
  EXPECT_THROW(strategy_bounds(search.job(), search.table, {}, 1, shelf), ConfigError);
  EXPECT_THROW(legal_rows(search.job(), search.table, 1, shelf), ConfigError);
}

}  // namespace

// Time and memory of many strategies of one job. Each row is what `simulate` says of that strategy, bit for bit: it is
// the same engine, with a book of prices that rows share (step/plan/price_book.hpp). What cannot run is data with its
// reason.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "search/book_shelf.hpp"
#include "search/strategy_table.hpp"
#include "training_simulator.hpp"

namespace dts {

// What strategies are evaluated for; the job's own strategy does not count.
struct EvaluateOptions {
  double failure_factor = 1;  // reserved over allocated bytes at which half of a framework's jobs fail
  std::array<double, 4> tier_capacity_bytes{
      -1, -1, -1, -1};  // of one device, numbered as OffloadTier; < 0 = unknown, and not checked
  int threads = 1;      // 0: one per core
};

enum class RowStatus : std::uint8_t {
  Fits,        // legal, and more likely to fit than not
  DoesNotFit,  // legal, but out of memory; all columns are there
  Illegal,     // refused, with the reason
};

inline constexpr std::size_t kEvaluationColumns = 39;
const char* const* evaluation_columns() noexcept;  // names, units in them

struct Evaluations {
  std::vector<RowStatus> status;
  std::vector<std::int32_t> reason;          // per row, in `reasons`; -1 = none
  std::vector<std::string> reasons;          // distinct, by first row
  std::vector<std::vector<double>> columns;  // NaN where a row has no such value
};

Evaluations evaluate(const Job& job, const StrategyTable& table, const EvaluateOptions& options, BookShelf& shelf);

}  // namespace dts

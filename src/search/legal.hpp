// Which rows of a table a job accepts: the filter that turns combinations of axes into a search space.
#pragma once

#include <cstdint>
#include <vector>

#include "search/book_shelf.hpp"
#include "search/strategy_table.hpp"
#include "step/plan/job.hpp"

namespace dts {

// Per row 1 or 0; what `evaluate` would refuse is 0. Throws where the job is at fault, whatever the strategy.
std::vector<std::uint8_t> legal_rows(const Job& job, const StrategyTable& table, int threads, BookShelf& shelf);

}  // namespace dts

#include "search/legal.hpp"

#include <algorithm>
#include <memory>

#include "search/parallel_for.hpp"
#include "search/placed_jobs.hpp"

namespace dts {

namespace {

constexpr std::size_t kRowsAtOnce = 1024;

}  // namespace

std::vector<std::uint8_t> legal_rows(const Job& job, const StrategyTable& table, int threads, BookShelf& shelf) {
  check_table(table);
  check_descriptions(job);
  std::vector<std::uint8_t> legal(table.rows);
  parallel_for((table.rows + kRowsAtOnce - 1) / kRowsAtOnce, threads, [&] {
    return [&, jobs = std::make_shared<PlacedJobs>(job, table, shelf)](std::size_t batch) {
      const std::size_t end = std::min(table.rows, (batch + 1) * kRowsAtOnce);
      for (std::size_t row = batch * kRowsAtOnce; row < end; ++row) legal[row] = is_legal(jobs->row(row)) ? 1 : 0;
    };
  });
  return legal;
}

}  // namespace dts

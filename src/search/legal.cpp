#include "search/legal.hpp"

#include <algorithm>
#include <memory>

#include "error.hpp"
#include "search/parallel_for.hpp"
#include "step/price_book.hpp"

namespace dts {

namespace {

constexpr std::size_t kRowsAtOnce = 1024;

class Filter {
 public:
  Filter(const Job& job, const StrategyTable& table) : job_(job), table_(table) {}

  bool accepts(std::size_t row) {
    table_.read(row, strategy_);
    const Job job{book_.placed(job_.model, strategy_, job_.profile), job_.device, job_.network, strategy_, job_.profile,
                  job_.seq_len, job_.other_devices, job_.kinds, job_.host};
    try {
      book_.check(job);
    } catch (const DtsError&) {
      return false;
    }
    return true;
  }

 private:
  const Job& job_;
  const StrategyTable& table_;
  Strategy strategy_;
  PriceBook book_;
};

}  // namespace

std::vector<std::uint8_t> legal_rows(const Job& job, const StrategyTable& table, int threads) {
  check_table(table);
  check_descriptions(job);
  std::vector<std::uint8_t> legal(table.rows);
  parallel_for((table.rows + kRowsAtOnce - 1) / kRowsAtOnce, threads, [&] {
    return [&, filter = std::make_shared<Filter>(job, table)](std::size_t batch) {
      const std::size_t end = std::min(table.rows, (batch + 1) * kRowsAtOnce);
      for (std::size_t row = batch * kRowsAtOnce; row < end; ++row) legal[row] = filter->accepts(row) ? 1 : 0;
    };
  });
  return legal;
}

}  // namespace dts

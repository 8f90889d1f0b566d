// A job with the strategies of a table, as its framework runs them (the model placed, the profile completed). Rows
// change the strategy of a job that is kept: a search does not copy descriptions.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <utility>

#include "search/book_shelf.hpp"
#include "search/strategy_table.hpp"
#include "step/plan/job.hpp"

namespace dts {

class PlacedJobs {
 public:
  // All must outlive it.
  PlacedJobs(const Job& asked, const StrategyTable& table, BookShelf& shelf)
      : asked_(asked), table_(table), book_(shelf) {}

  // Valid until the next row.
  const Job& row(std::size_t i) {
    table_.read(i, strategy_);
    std::unique_ptr<Job>& job = jobs_[{strategy_.tp, strategy_.grad_dtype}];
    if (job) {
      job->strategy = strategy_;
      return *job;
    }
    const Job as_asked{asked_.model, asked_.device, asked_.network, strategy_, asked_.profile, asked_.seq_len};
    job.reset(new Job{(*book_).placed(asked_.model, strategy_, asked_.profile), asked_.device, asked_.network,
                      strategy_, effective_profile(as_asked), asked_.seq_len, asked_.other_devices, asked_.kinds,
                      asked_.host});
    return *job;
  }
  PriceBook& book() noexcept { return *book_; }

 private:
  const Job& asked_;
  const StrategyTable& table_;
  Strategy strategy_;
  BookShelf::Loan book_;
  std::map<std::pair<int, GradDType>, std::unique_ptr<Job>> jobs_;  // models and profiles differ by these
};

}  // namespace dts

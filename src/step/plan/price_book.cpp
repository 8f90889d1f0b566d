#include "step/plan/price_book.hpp"

#include <utility>

#include "interrupt.hpp"
#include "parallel/placed_model.hpp"
#include "parallel/stage_map.hpp"
#include "schedule/pipeline.hpp"
#include "schedule/windows.hpp"

namespace dts {

namespace {

constexpr std::size_t kMostPages = 4096;            // of each kind; then the book starts anew
constexpr std::size_t kMostPasses = 4'000'000;      // of all orders, 64 MB
constexpr std::size_t kMostOperations = 2'000'000;  // 64 MB
constexpr std::size_t kMostListed = 100'000;        // passes of an order whose operations are kept one by one

template <class Pages, class Make>
auto page(Pages& pages, BookKey key, Make make) {
  const auto found = pages.find(key);
  if (found != pages.end()) return found->second;
  if (pages.size() >= kMostPages) pages.clear();
  return pages.emplace(std::move(key), make()).first->second;
}

BookKey block_key(const Job& job) {
  return {block_part(job.strategy), &job.device, job.kinds, splits_backward(job.strategy),
          placement(job.strategy).ends_meet()};
}

std::size_t passes_in(const PipelineOrder& order) {
  std::size_t count = 0;
  for (const std::vector<Pass>& passes : order) count += passes.size();
  return count;
}

OrderKey order_key(const Strategy& s, int micro_batches) {
  return {s.schedule, s.pp, s.vpp, micro_batches, s.micro_batch_group, s.overlap_moe_1f1b, s.delay_weight_grad};
}

}  // namespace

void PriceBook::check(const Job& job) {
  poll_interrupt();
  bool& checked = checked_[job.strategy.tp];
  if (!checked) check_descriptions(job);
  checked = true;
  check_strategy(job);
}

const ModelSpec& PriceBook::placed(const ModelSpec& model, const Strategy& strategy, const FrameworkProfile& profile) {
  std::unique_ptr<const ModelSpec>& known = placed_[strategy.tp];
  if (!known) known = std::make_unique<const ModelSpec>(placed_model(model, strategy, profile));
  return *known;
}

std::shared_ptr<const GroupPricer> PriceBook::groups(const Job& job, const RankGrid& grid) {
  return page(groups_, {grid_part(job.strategy), nullptr, job.kinds},
              [&] { return std::make_shared<const GroupPricer>(job.network, grid, job.kinds); });
}

std::shared_ptr<const PricedModel> PriceBook::priced(const Job& job, const GroupPricer& groups) {
  return page(priced_, block_key(job),
              [&] { return std::make_shared<const PricedModel>(price_model(job, groups, products_)); });
}

std::shared_ptr<const ModelTapes> PriceBook::tapes(const Job& job, const PricedModel& priced) {
  return page(tapes_, block_key(job), [&] { return std::make_shared<const ModelTapes>(job, priced); });
}

std::shared_ptr<const PipelineOrder> PriceBook::order(const Strategy& s, int micro_batches) {
  const auto made = [&] { return std::make_shared<const PipelineOrder>(pipeline_order(s, micro_batches)); };
  if (!s.custom_order.empty()) return made();
  const OrderKey key = order_key(s, micro_batches);
  const auto found = orders_.find(key);
  if (found != orders_.end()) return found->second;
  if (passes_ > kMostPasses) orders_.clear(), passes_ = 0;
  std::shared_ptr<const PipelineOrder> order = made();
  passes_ += passes_in(*order);
  return orders_.emplace(key, std::move(order)).first->second;
}

std::shared_ptr<const RepeatedOps> PriceBook::ops(const Strategy& s, int micro_batches, bool blocking) {
  const std::pair<OrderKey, bool> key{order_key(s, micro_batches), blocking};
  const auto known = ops_.find(key);
  if (known != ops_.end()) return known->second;
  const std::shared_ptr<const PipelineOrder> passes = this->order(s, micro_batches);
  RepeatedOps made = repeated_ops(*passes, placement(s), micro_batches, blocking, order_period(s));
  if (!made.repeats() && passes_in(*passes) > kMostListed) return nullptr;
  if (!made.repeats()) made = listed_ops(*passes, placement(s), micro_batches, blocking);
  if (operations_ > kMostOperations) ops_.clear(), operations_ = 0;
  operations_ += made.size();
  return ops_[key] = std::make_shared<const RepeatedOps>(std::move(made));
}

}  // namespace dts

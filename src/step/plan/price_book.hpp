// Memo of what many strategies of one job share: the model as placed on tensor-parallel ranks, the groups of a layout,
// the prices of its blocks and their memory tapes, orders of passes, memory to record in. An entry is found by the part
// of the strategy that it depends on (parallel/strategy_key.hpp), so a book changes no result. One book serves one job
// (model, network, devices, profile, sequence length) whose strategy alone varies; it is not for several threads at
// once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "parallel/strategy_key.hpp"
#include "pricing/product_times.hpp"
#include "schedule/pass.hpp"
#include "schedule/repeated_ops.hpp"
#include "step/memory/model_tapes.hpp"
#include "step/plan/priced_model.hpp"
#include "step/run/run_memory.hpp"

namespace dts {

struct BookKey {
  Strategy part;
  const DeviceSpec* device = nullptr;
  AxisKinds kinds = kOneKind;
  bool splits_backward = false, ends_meet = false;

  bool operator==(const BookKey& o) const {
    return device == o.device && kinds == o.kinds && splits_backward == o.splits_backward && ends_meet == o.ends_meet &&
           part == o.part;
  }
};

// What an order of passes depends on, custom orders aside.
using OrderKey = std::tuple<PipelineSchedule, int, int, int, int, bool, bool>;

class PriceBook {
 public:
  void check(const Job& job);  // descriptions once, then the strategy
  const ModelSpec& placed(const ModelSpec& model, const Strategy& strategy, const FrameworkProfile& profile);
  std::shared_ptr<const GroupPricer> groups(const Job& job, const RankGrid& grid);
  std::shared_ptr<const PricedModel> priced(const Job& job, const GroupPricer& groups);
  std::shared_ptr<const ModelTapes> tapes(const Job& job, const PricedModel& priced);
  // Of a schedule that needs no pass times.
  std::shared_ptr<const PipelineOrder> order(const Strategy& strategy, int micro_batches);
  // Of such an order: by windows if some repeat, else as they come; null where they are too many to keep.
  std::shared_ptr<const RepeatedOps> ops(const Strategy& strategy, int micro_batches, bool blocking);

  RunMemory& memory() noexcept { return memory_; }

 private:
  struct Hash {
    std::size_t operator()(const BookKey& key) const noexcept {
      return hash_of(key.part) * 4 + (key.splits_backward ? 2 : 0) + (key.ends_meet ? 1 : 0);
    }
  };
  template <class Value>
  using Pages = std::unordered_map<BookKey, std::shared_ptr<const Value>, Hash>;

  std::unordered_map<int, std::unique_ptr<const ModelSpec>> placed_;  // by tp
  std::unordered_map<int, bool> checked_;                             // by tp
  Pages<GroupPricer> groups_;
  ProductTimes products_;
  Pages<PricedModel> priced_;
  Pages<ModelTapes> tapes_;
  std::map<OrderKey, std::shared_ptr<const PipelineOrder>> orders_;
  std::map<std::pair<OrderKey, bool>, std::shared_ptr<const RepeatedOps>> ops_;
  RunMemory memory_;
  std::size_t passes_ = 0, operations_ = 0;  // in orders_, in ops_
};

}  // namespace dts

// An order of passes that several steps run: copies share one list, and a change makes a list of one's own. One rank's
// passes may be shared alone.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "schedule/pass.hpp"
#include "shared_list.hpp"

namespace dts {

class SharedOrder {
 public:
  SharedOrder() : order_(std::make_shared<const PipelineOrder>()) {}
  SharedOrder(PipelineOrder order) : order_(std::make_shared<const PipelineOrder>(std::move(order))) {}
  SharedOrder(std::shared_ptr<const PipelineOrder> order) : order_(std::move(order)) {}

  operator const PipelineOrder&() const noexcept { return *order_; }
  const std::vector<Pass>& operator[](std::size_t rank) const { return (*order_)[rank]; }
  std::size_t size() const noexcept { return order_->size(); }
  std::shared_ptr<const std::vector<Pass>> passes(std::size_t rank) const { return {order_, &(*order_)[rank]}; }

  template <class Change>
  void change(Change change) {
    PipelineOrder own = *order_;
    change(own);
    order_ = std::make_shared<const PipelineOrder>(std::move(own));
  }

 private:
  std::shared_ptr<const PipelineOrder> order_;
};

using SharedPasses = SharedList<Pass>;

}  // namespace dts

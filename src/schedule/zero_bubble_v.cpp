// ZB-V: chunk 0 of rank r is stage r, chunk 1 is stage 2 pp-1 - r. Written for at least 2 pp-1 micro-batches; with
// fewer, the passes of those that do not exist are left out.
#include <algorithm>
#include <array>
#include <cstddef>

#include "schedule/pipeline.hpp"

namespace dts {

namespace {

class ZbvRank {
 public:
  ZbvRank(int pp, int rank, int micro_batches) : pp_(pp), rank_(rank), micro_batches_(micro_batches) {}

  std::vector<Pass> run() && {
    const int planned = std::max(2 * pp_ - 1, micro_batches_);
    for (int i = 0; i < 2 * (pp_ - rank_) - 1; ++i) forward(0);
    for (int i = 0; i < rank_; ++i) forward(1), forward(0);
    for (int i = 0; i < pp_ - rank_; ++i) forward(1), input(1), weight(1);
    while (forwards_[1] < forwards_[0] || forwards_[0] < planned) {
      if (forwards_[0] < planned) forward(0);
      input(0), weight(0), forward(1), input(1), weight(1);
    }
    for (int i = 0; i < rank_; ++i) input(0), input(1);
    for (int i = 0; i < pp_ - rank_; ++i) input(0), weight(0);
    while (weights_[1] < inputs_[1]) weight(1);
    while (weights_[0] < inputs_[0]) weight(0);
    return std::move(passes_);
  }

 private:
  using Counts = std::array<int, 2>;  // per chunk

  void forward(int chunk) { add(PassKind::Forward, chunk, forwards_); }
  void input(int chunk) { add(PassKind::BackwardInput, chunk, inputs_); }
  void weight(int chunk) { add(PassKind::BackwardWeight, chunk, weights_); }

  void add(PassKind kind, int chunk, Counts& counts) {
    const int i = counts[static_cast<std::size_t>(chunk)]++;
    if (i < micro_batches_) passes_.push_back({kind, chunk, i});
  }

  int pp_, rank_, micro_batches_;
  Counts forwards_{}, inputs_{}, weights_{};
  std::vector<Pass> passes_;
};

}  // namespace

PipelineOrder zero_bubble_v(int pp, int micro_batches) {
  PipelineOrder order;
  for (int rank = 0; rank < pp; ++rank) order.push_back(ZbvRank(pp, rank, micro_batches).run());
  return order;
}

}  // namespace dts

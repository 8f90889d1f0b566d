// DualPipe and DualPipeV share one rule, written from the rank's own end of the pipeline: chunk 0 is the direction
// (or leg) in which the rank stands early, chunk 1 the one in which it stands late. `depth` is its distance from that
// end, `half` the ranks of a direction. Forwards of one direction run overlapped with backwards of the other.
#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>

#include "schedule/pipeline.hpp"

namespace dts {

namespace {

class DualRank {
 public:
  // own_chunk: the Pass::chunk of direction 0. first[d]: the first micro-batch of direction d.
  DualRank(int half, int depth, int micro_batches, int own_chunk, std::array<int, 2> first)
      : half_(half), depth_(depth), micro_batches_(micro_batches), own_chunk_(own_chunk), forward_(first),
        backward_(first) {}

  std::vector<Pass> run() && {
    const int inside = half_ - depth_ - 1;  // ranks between this one and the turn
    repeat(2 * inside, [&](int) { forward(0); });
    repeat(depth_ + 1, [&](int) { forward(0), forward(1); });
    repeat(inside, [&](int) { backward(1, true), weight(), forward(1); });
    repeat(micro_batches_ - 2 * half_ + depth_ + 1, [&](int i) {
      forward(0, i > 0 || inside > 0), backward(1);  // the innermost rank's first pair would wait for itself
      forward(1, true), backward(0);
    });
    repeat(inside, [&](int) { backward(1), forward(1, true), backward(0); });
    // From half-way on only the input gradients, so that the ends of the pipeline are fed sooner.
    const int whole = (depth_ + 1) / 2;
    repeat(depth_ + 1, [&](int i) {
      backward(1, i > whole || (i == whole && depth_ % 2 == 1));
      backward(0, i >= whole);
    });
    repeat(inside, [&](int) { weight(), backward(0, true); });
    repeat(depth_ + 1, [&](int) { weight(); });
    return std::move(passes_);
  }

 private:
  template <class Body>
  static void repeat(int times, Body body) {
    for (int i = 0; i < times; ++i) body(i);
  }

  int chunk(int direction) const { return direction == 0 ? own_chunk_ : 1 - own_chunk_; }

  void forward(int direction, bool with_next = false) {
    passes_.push_back(
        {PassKind::Forward, chunk(direction), forward_[static_cast<std::size_t>(direction)]++, with_next});
  }

  void backward(int direction, bool split = false) {
    const int i = backward_[static_cast<std::size_t>(direction)]++;
    passes_.push_back({split ? PassKind::BackwardInput : PassKind::Backward, chunk(direction), i});
    if (split) weights_.push_back({PassKind::BackwardWeight, chunk(direction), i});
  }

  void weight() {
    passes_.push_back(weights_.front());
    weights_.pop_front();
  }

  int half_, depth_, micro_batches_, own_chunk_;
  std::array<int, 2> forward_, backward_;  // next micro-batch per direction
  std::deque<Pass> weights_;               // split off, still to run
  std::vector<Pass> passes_;
};

}  // namespace

PipelineOrder dual_pipe(int pp, int micro_batches) {
  const int each_way = micro_batches / 2;
  PipelineOrder order;
  for (int rank = 0; rank < pp; ++rank) {
    const int own = rank < pp / 2 ? 0 : 1;
    const std::array<int, 2> first = own == 0 ? std::array<int, 2>{0, each_way} : std::array<int, 2>{each_way, 0};
    order.push_back(DualRank(pp / 2, std::min(rank, pp - 1 - rank), each_way, own, first).run());
  }
  return order;
}

PipelineOrder dual_pipe_v(int pp, int micro_batches) {
  PipelineOrder order;
  for (int rank = 0; rank < pp; ++rank) order.push_back(DualRank(pp, rank, micro_batches, 0, {0, 0}).run());
  return order;
}

}  // namespace dts

#include "schedule/check_order.hpp"

#include <cstddef>

#include "error.hpp"
#include "schedule/walk.hpp"

namespace dts {

namespace {

constexpr std::size_t kMostViolations = 10;

struct Seen {
  bool forward = false, input = false, weight = false;
};

class OrderChecker {
 public:
  OrderChecker(const PipelineOrder& order, const StagePlacement& placement, int micro_batches)
      : order_(order), placement_(placement), micro_batches_(micro_batches) {}

  void run() {
    check_.require(static_cast<int>(order_.size()) == placement_.pp, "order", std::to_string(order_.size()) + " ranks",
                   "one list per pipeline rank, pp = " + std::to_string(placement_.pp));
    check_.throw_if_any();
    for (std::size_t rank = 0; rank < order_.size(); ++rank) passes_of(rank);
    check_.throw_if_any();
    no_deadlock();
  }

 private:
  void fail(std::size_t rank, const std::string& got, const std::string& expected) {
    if (check_.violations().size() < kMostViolations)
      check_.fail("order of rank " + std::to_string(rank), got, expected);
  }

  void passes_of(std::size_t rank) {
    const auto slots = static_cast<std::size_t>(placement_.chunks) * static_cast<std::size_t>(micro_batches_);
    std::vector<Seen> seen(slots);
    const std::vector<Pass>& passes = order_[rank];
    for (std::size_t i = 0; i < passes.size(); ++i) {
      const Pass& pass = passes[i];
      if (!exists(rank, pass.chunk, pass.micro_batch)) {
        fail(rank, name_of(pass),
             "chunks 0 to " + std::to_string(placement_.chunks - 1) + " and the chunk's micro-batches of 0 to " +
                 std::to_string(micro_batches_ - 1));
        continue;
      }
      mark(rank, pass, seen[slot(pass.chunk, pass.micro_batch)]);
      const bool paired = !pass.with_next || (pass.kind == PassKind::Forward && i + 1 < passes.size() &&
                                              gives_input_gradient(passes[i + 1].kind));
      if (!paired) fail(rank, name_of(pass), "a forward overlapped with the backward after it");
    }
    for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
      for (int i = 0; i < micro_batches_; ++i) {
        if (exists(rank, chunk, i)) complete(rank, chunk, i, seen[slot(chunk, i)]);
      }
    }
  }

  bool exists(std::size_t rank, int chunk, int micro_batch) const {
    return chunk >= 0 && chunk < placement_.chunks &&
           placement_.visits(placement_.stage_of(static_cast<int>(rank), chunk), micro_batch, micro_batches_);
  }

  std::size_t slot(int chunk, int micro_batch) const {
    return static_cast<std::size_t>(chunk) * static_cast<std::size_t>(micro_batches_) +
           static_cast<std::size_t>(micro_batch);
  }

  void mark(std::size_t rank, const Pass& pass, Seen& seen) {
    if (pass.kind == PassKind::Forward) {
      if (seen.forward) fail(rank, name_of(pass) + " twice", "every pass once");
      seen.forward = true;
      return;
    }
    if (gives_input_gradient(pass.kind)) {
      if (seen.input) fail(rank, name_of(pass) + " twice", "every pass once");
      if (!seen.forward) fail(rank, name_of(pass), "its forward before it");
      seen.input = true;
    }
    if (gives_weight_gradient(pass.kind)) {
      if (seen.weight && pass.kind == PassKind::BackwardWeight) fail(rank, name_of(pass) + " twice", "every pass once");
      if (!seen.input) fail(rank, name_of(pass), "its input gradient B before it");
      seen.weight = true;
    }
  }

  void complete(std::size_t rank, int chunk, int micro_batch, const Seen& seen) {
    const auto missing = [&](PassKind kind) {
      fail(rank, "no " + name_of({kind, chunk, micro_batch}), "every pass once");
    };
    if (!seen.forward) missing(PassKind::Forward);
    if (!seen.input) missing(PassKind::Backward);
    if (seen.input && !seen.weight) missing(PassKind::BackwardWeight);
  }

  void no_deadlock() {
    OrderWalk walk(order_, placement_, micro_batches_);
    if (walk.run([](int, int, const Pass&) {})) return;
    for (std::size_t rank = 0; rank < order_.size(); ++rank) {
      const std::size_t at = walk.stuck_at(rank);
      if (at == order_[rank].size()) continue;
      const Pass& first = order_[rank][at];
      const Pass& pass = walk.has_inputs(rank, first) ? order_[rank][at + 1] : first;  // of a pair, the one that waits
      fail(rank, "stuck before " + name_of(first), "no deadlock; it waits for " + awaited(rank, pass));
    }
    check_.throw_if_any();
  }

  std::string awaited(std::size_t rank, const Pass& pass) const {
    const int stage = placement_.stage_of(static_cast<int>(rank), pass.chunk);
    const int from = pass.kind == PassKind::Forward ? placement_.previous(stage) : placement_.next(stage);
    return name_of({pass.kind, placement_.chunk_of(from), pass.micro_batch}) + " of rank " +
           std::to_string(placement_.rank_of(from));
  }

  const PipelineOrder& order_;
  StagePlacement placement_;
  int micro_batches_;
  Checker check_;
};

}  // namespace

void check_order(const PipelineOrder& order, const StagePlacement& placement, int micro_batches) {
  OrderChecker(order, placement, micro_batches).run();
}

}  // namespace dts

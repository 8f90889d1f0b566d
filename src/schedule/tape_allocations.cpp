#include <map>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "schedule/rank_tape.hpp"
#include "schedule/tape_places.hpp"

namespace dts {

namespace {

using Issued = std::vector<std::pair<std::int64_t, double>>;  // ids and bytes

Issued pieces_of(const std::vector<TapeTensor>& tensors, std::int64_t first) {
  Issued pieces;
  for (const TapeTensor& t : tensors) {
    for (int i = 0; i < t.pieces; ++i) pieces.emplace_back(first++, t.bytes / t.pieces);
  }
  return pieces;
}

class Issuer {
 public:
  Issuer(const RankTape& tape, const VisitAllocation& visit, double launches)
      : tape_(tape), walker_(tape), visit_(visit), launches_(launches) {}

  double run() {
    const Issued buffers = pieces_of(tape_.in_passes, 0);
    next_ = static_cast<std::int64_t>(buffers.size());
    for (const auto& [id, bytes] : buffers) visit_({id, bytes, false, launches_, launches_});
    walker_.for_all([this](const Place& place) { run_block(place); });
    for (const auto& [id, bytes] : buffers) visit_({id, bytes, true, launches_, launches_});
    return launches_;
  }

 private:
  void run_block(const Place& place) {
    const Pass& pass = tape_.passes[place.pass];
    const BlockTape& block = walker_.block_at(place);
    lead_ = tape_.lead.empty() ? HostLead{} : tape_.lead[place.pass];
    if (place.block == 0 && lead_.waits) launches_ += kLaunchQueue;  // whatever waited is usable
    if (place.block == 0) accumulate(gradients_.made_before(place.pass));
    const std::vector<TapeEvent>& events = events_of(block, pass.kind);
    const double issued = pass.kind == PassKind::Forward ? block.forward_launches : block.backward_launches;
    for (const TapeEvent& e : events) {
      event(pass, walker_.layer_of(place), block, e);
      launches_ += issued / static_cast<double>(events.size());
    }
    if (!place.ends) return;
    reduce(gradients_.gone_after(place.pass));
    const std::vector<const BlockTape*>& blocks = walker_.blocks_of(place);
    for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
      for (std::int32_t tensor : freed_at_end(*blocks[layer], pass.kind))
        event(pass, layer, *blocks[layer], {tensor, true});
    }
  }

  void accumulate(const TapeTensor* made) {
    if (made == nullptr) return;
    Issued& pieces = accumulated_[made] = pieces_of({*made}, next_);
    next_ += static_cast<std::int64_t>(pieces.size());
    for (const auto& [id, bytes] : pieces) visit_({id, bytes, false, launches_, launches_});
  }

  void reduce(const TapeTensor* gone) {
    if (gone == nullptr) return;
    for (const auto& [id, bytes] : accumulated_[gone]) visit_({id, bytes, true, launches_, launches_});
  }

  void event(const Pass& pass, std::size_t layer, const BlockTape& block, const TapeEvent& e) {
    const auto key = std::make_tuple(pass.micro_batch, pass.chunk, layer, e.tensor);
    if (!e.frees) ids_[key] = next_++;
    const auto found = ids_.find(key);
    const TapeTensor& t = block.tensors[static_cast<std::size_t>(e.tensor)];
    if (found == ids_.end())
      throw std::logic_error("the order of passes frees " + t.op + " " + t.what + " before it is allocated");
    visit_({found->second, t.bytes, e.frees, launches_, launches_ + (t.shared && lead_.ahead ? kLaunchQueue : 0)});
    if (e.frees) ids_.erase(found);
  }

  const RankTape& tape_;
  Walker walker_;
  Accumulation gradients_{tape_};
  std::map<const TapeTensor*, Issued> accumulated_;
  const VisitAllocation& visit_;
  double launches_;
  HostLead lead_;
  std::int64_t next_ = 0;
  std::map<std::tuple<int, int, std::size_t, std::int32_t>, std::int64_t> ids_;  // micro-batch, chunk, layer, tensor
};

}  // namespace

double for_each_allocation(const RankTape& tape, const VisitAllocation& visit, double first_launch) {
  return Issuer(tape, visit, first_launch).run();
}

void for_each_allocation_after(const RankTape& tape, double launches, const VisitAllocation& visit) {
  for (const std::vector<TapeTensor>* tensors : {&tape.reduction, &tape.update}) {
    const Issued pieces = pieces_of(*tensors, 0);
    for (const auto& [id, bytes] : pieces) visit({id, bytes, false, launches, launches});
    for (const auto& [id, bytes] : pieces) visit({id, bytes, true, launches, launches});
  }
}

}  // namespace dts

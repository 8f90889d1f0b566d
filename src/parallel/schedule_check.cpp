#include "parallel/schedule_check.hpp"

#include <algorithm>
#include <string>

#include "parallel/stage_map.hpp"

namespace dts {

bool cuts_backward(PipelineSchedule schedule) {
  switch (schedule) {
    case PipelineSchedule::OneFOneB:
    case PipelineSchedule::GPipe:
    case PipelineSchedule::LoopedBfs:
    case PipelineSchedule::Hanayo: return false;
    case PipelineSchedule::ZbH1:
    case PipelineSchedule::ZbH2:
    case PipelineSchedule::Zb1p:
    case PipelineSchedule::Zb2p:
    case PipelineSchedule::ZbV:
    case PipelineSchedule::VHalf:
    case PipelineSchedule::VMin:
    case PipelineSchedule::DualPipe:
    case PipelineSchedule::DualPipeV: return true;
  }
  return true;
}

namespace {

const char* name_of(PipelineSchedule schedule) {
  switch (schedule) {
    case PipelineSchedule::OneFOneB: return "1f1b";
    case PipelineSchedule::GPipe: return "gpipe";
    case PipelineSchedule::LoopedBfs: return "looped_bfs";
    case PipelineSchedule::ZbH1: return "zb_h1";
    case PipelineSchedule::ZbH2: return "zb_h2";
    case PipelineSchedule::Zb1p: return "zb_1p";
    case PipelineSchedule::Zb2p: return "zb_2p";
    case PipelineSchedule::ZbV: return "zb_v";
    case PipelineSchedule::VHalf: return "v_half";
    case PipelineSchedule::VMin: return "v_min";
    case PipelineSchedule::DualPipe: return "dualpipe";
    case PipelineSchedule::DualPipeV: return "dualpipe_v";
    case PipelineSchedule::Hanayo: return "hanayo";
  }
  return "";
}

class ScheduleChecker {
 public:
  ScheduleChecker(Checker& check, const Strategy& s)
      : check_(check), s_(s), name_(name_of(s.schedule)), replica_(static_cast<long long>(s.dp) * s.micro_batch),
        micro_batches_(s.global_batch / replica_), counted_(s.global_batch % replica_ == 0) {}

  void run() {
    chunks();
    if (s_.custom_order.empty()) {
      if (counted_) micro_batches();
    } else {
      const auto lists = static_cast<long long>(s_.custom_order.size());
      check_.require(lists == s_.pp, [&] {
        return Violation{"strategy.custom_order", std::to_string(lists) + " lists",
                         "one per pipeline rank, pp = " + std::to_string(s_.pp), ""};
      });
    }
    const bool whole = s_.custom_order.empty() && !cuts_backward(s_.schedule);
    check_.require(!s_.delay_weight_grad || whole, [&] {
      return Violation{"strategy.delay_weight_grad", "true",
                       "false with " + std::string(s_.custom_order.empty() ? name_ : "custom_order") +
                           ", which places weight gradients itself",
                       ""};
    });
    const bool grouped = s_.schedule == PipelineSchedule::OneFOneB && s_.vpp > 1 && s_.custom_order.empty();
    check_.require(s_.micro_batch_group == 0 || grouped, [&] {
      return Violation{"strategy.micro_batch_group", std::to_string(s_.micro_batch_group),
                       "0 unless 1f1b is interleaved (vpp > 1)", ""};
    });
  }

 private:
  void chunks() {
    const std::string vpp = std::to_string(s_.vpp);
    switch (s_.schedule) {
      case PipelineSchedule::OneFOneB:
      case PipelineSchedule::LoopedBfs: break;
      case PipelineSchedule::Hanayo:
        check_.require(s_.vpp % 2 == 0, [&] {
          return Violation{"strategy.vpp", vpp, "an even number with hanayo: each wave is two chunks",
                           "use vpp=" + std::to_string(s_.vpp + 1)};
        });
        break;
      case PipelineSchedule::DualPipe:
        check_.require(s_.vpp == 1, [&] {
          return Violation{"strategy.vpp", vpp, "1 with dualpipe: its two stages a rank are copies", ""};
        });
        check_.require(s_.pp % 2 == 0, [&] {
          return Violation{"strategy.pp", std::to_string(s_.pp), "an even number with dualpipe",
                           "use pp=" + std::to_string(s_.pp + 1)};
        });
        break;
      default: {
        const int needed = stage_map(s_.schedule) == StageMap::Wave ? 2 : 1;
        check_.require(s_.vpp == needed, [&] {
          return Violation{"strategy.vpp", vpp, std::to_string(needed) + " with " + name_,
                           "use vpp=" + std::to_string(needed)};
        });
      }
    }
    check_.require(s_.vpp == 1 || s_.pp > 1, [&] {
      return Violation{"strategy.vpp", std::to_string(s_.vpp), "1 without pipeline parallelism", "use vpp=1 or pp>1"};
    });
  }

  void micro_batches() {
    const long long pp = s_.pp;
    switch (s_.schedule) {
      case PipelineSchedule::OneFOneB:
        if (s_.vpp > 1) groups();
        break;
      case PipelineSchedule::VHalf:
      case PipelineSchedule::VMin: at_least(pp, "pp"); break;
      case PipelineSchedule::DualPipe:
        at_least(2 * pp, "2 * pp");
        multiple_of(2, "2 with dualpipe: half of them each way");
        break;
      case PipelineSchedule::DualPipeV: at_least(2 * pp, "2 * pp"); break;
      default: break;
    }
  }

  // Megatron-Core: a group shorter than pp would leave a rank without work in the middle of a step.
  void groups() {
    const long long pp = s_.pp, width = s_.micro_batch_group == 0 ? pp : s_.micro_batch_group;
    if (!check_.require(width >= pp, [&] {
          return Violation{"strategy.micro_batch_group", std::to_string(width), "at least pp=" + std::to_string(pp),
                           ""};
        }))
      return;
    if (width == pp) return multiple_of(pp, "pp=" + std::to_string(pp) + " when vpp > 1");
    const long long rest = micro_batches_ % width;
    check_.require(micro_batches_ >= width && (rest == 0 || rest >= pp), [&] {
      return Violation{"micro-batches", std::to_string(micro_batches_),
                       "a multiple of micro_batch_group=" + std::to_string(width) +
                           ", or a rest of at least pp=" + std::to_string(pp),
                       batch_for((micro_batches_ / width + 1) * width)};
    });
  }

  void at_least(long long least, const std::string& what) {
    check_.require(micro_batches_ >= least, [&] {
      return Violation{"micro-batches", std::to_string(micro_batches_),
                       "at least " + what + " = " + std::to_string(least) + " with " + name_, batch_for(least)};
    });
  }

  void multiple_of(long long n, const std::string& what) {
    check_.require(micro_batches_ % n == 0, [&] {
      return Violation{"micro-batches", std::to_string(micro_batches_), "a multiple of " + what,
                       batch_for((micro_batches_ / n + 1) * n)};
    });
  }

  std::string batch_for(long long micro_batches) const {
    return "use global_batch " + std::to_string(micro_batches * replica_);
  }

  Checker& check_;
  const Strategy& s_;
  std::string name_;
  long long replica_, micro_batches_;  // samples of one micro-batch of all replicas
  bool counted_;                       // otherwise the batch is wrong itself
};

}  // namespace

void check_schedule(Checker& check, const Strategy& strategy) { ScheduleChecker(check, strategy).run(); }

}  // namespace dts

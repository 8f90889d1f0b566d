// What a window of operations chose between: which of two times was the later one, and by how much. While the choices
// stay the same, the times of one window follow from those of the one before by additions alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dts {

class Choices {
 public:
  struct Start {     // of a pass
    double ahead_s;  // the rank was free so long before the input was there, if negative: it waited
    double pass_s;
    std::int32_t rank;
    std::int64_t record = -1;  // of the pass that it goes like; -1: a plain one
  };

  static constexpr std::int64_t kIssued = -2;  // record of a pass that was issued task by task: like no other

  void clear() noexcept { leads_ = 0, starts_.clear(); }
  void later_of(double a_s, double b_s) {  // one window has about as many as another
    if (leads_ == leads_s_.size()) leads_s_.resize(2 * leads_ + 64);
    leads_s_[leads_++] = a_s - b_s;
  }
  void start(double ahead_s, double pass_s, std::int32_t rank) {
    Start& made = starts_.emplace_back();  // in place: a copy would wait for each of its parts
    made.ahead_s = ahead_s, made.pass_s = pass_s, made.rank = rank;
  }
  void take(std::int64_t record) { starts_.back().record = record; }

  // How many further windows choose alike, if times go on to move as they did from the window before to this one; at
  // most `most`, and 0 where the two did not choose alike.
  std::size_t windows_alike(const Choices& before, std::size_t most) const;

  // The passes of the window in order, and how much longer each waits from window to window.
  const std::vector<Start>& starts() const noexcept { return starts_; }
  // Per rank: its passes, where one of them waits longer or less from window to window; else none.
  std::vector<std::vector<std::size_t>> where_waits_change(const Choices& before, std::size_t ranks) const;
  double waits_longer_s(const Choices& before, std::size_t start) const;

 private:
  std::vector<double> leads_s_;
  std::size_t leads_ = 0;
  std::vector<Start> starts_;
};

}  // namespace dts

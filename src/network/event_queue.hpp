// Events in order of time: a binary heap of moments, each with the list of its events in the order they were pushed.
// Ranks in lock-step share moments, so most pushes cost no heap operation. Memory is that of the events held.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace dts {

struct FlowEvent {
  enum Kind : std::uint32_t { SendEnds, Arrives, TaskEnds, TaskReleased };
  Kind kind = SendEnds;
  std::uint32_t id = 0;       // a flow or a task
  std::uint32_t version = 0;  // of a flow's rate: events of older rates are void
};

class EventQueue {
 public:
  bool empty() const noexcept { return heap_.empty(); }
  std::size_t size() const noexcept { return size_; }
  double next_time_s() const noexcept { return heap_.front().time_s; }

  void push(double time_s, const FlowEvent& event) {
    const std::uint32_t node = take(free_node_, nodes_);
    nodes_[node] = {event, kNone};
    Known& known = known_[slot_of(time_s)];
    if (known.moment != kNone && known.time_s == time_s) {
      nodes_[moments_[known.moment].last].next = node;
      moments_[known.moment].last = node;
    } else {
      const std::uint32_t moment = take(free_moment_, moments_);
      moments_[moment] = {node, node};
      known = {time_s, moment};
      heap_.push_back({time_s, sequence_++, moment});
      std::push_heap(heap_.begin(), heap_.end(), later);
    }
    ++size_;
  }

  // Appends the events of the earliest moment to `events`.
  void pop(std::vector<FlowEvent>& events) {
    const Entry entry = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
    Known& known = known_[slot_of(entry.time_s)];
    if (known.moment == entry.moment) known.moment = kNone;
    for (std::uint32_t node = moments_[entry.moment].first; node != kNone; node = nodes_[node].next) {
      events.push_back(nodes_[node].event);
      free_node_.push_back(node);
      --size_;
    }
    free_moment_.push_back(entry.moment);
  }

  // Drops the events that `keep` refuses; called when many are void.
  template <class Keep>
  void sweep(Keep keep) {
    EventQueue kept;
    std::vector<FlowEvent> events;
    while (!empty()) {
      const double time_s = next_time_s();
      events.clear();
      pop(events);
      for (const FlowEvent& event : events) {
        if (keep(event)) kept.push(time_s, event);
      }
    }
    *this = std::move(kept);
  }

 private:
  static constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);
  struct Node {
    FlowEvent event;
    std::uint32_t next = kNone;
  };
  struct Moment {
    std::uint32_t first = kNone, last = kNone;
  };
  struct Known {  // a moment pushed lately
    double time_s = 0;
    std::uint32_t moment = kNone;
  };
  struct Entry {
    double time_s;
    std::uint64_t sequence;
    std::uint32_t moment;
  };

  static bool later(const Entry& a, const Entry& b) noexcept {
    return a.time_s != b.time_s ? a.time_s > b.time_s : a.sequence > b.sequence;
  }

  static std::size_t slot_of(double time_s) noexcept {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &time_s, sizeof bits);
    return static_cast<std::size_t>((bits * 0x9E3779B97F4A7C15ull) >> 58);
  }

  template <class T>
  static std::uint32_t take(std::vector<std::uint32_t>& free, std::vector<T>& pool) {
    if (free.empty()) {
      pool.emplace_back();
      return static_cast<std::uint32_t>(pool.size() - 1);
    }
    const std::uint32_t index = free.back();
    free.pop_back();
    return index;
  }

  std::vector<Entry> heap_;
  std::vector<Moment> moments_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> free_node_, free_moment_;
  std::array<Known, 64> known_{};
  std::uint64_t sequence_ = 0;
  std::size_t size_ = 0;
};

}  // namespace dts

#include "trace/perfetto.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>
#include <utility>

#include "interrupt.hpp"
#include "trace/flows.hpp"
#include "trace/titles.hpp"
#include "trace/wire.hpp"

namespace dts {

namespace {

// Numbers of fields, by message.
namespace trace {
constexpr int kPacket = 1;
}
namespace packet {
constexpr int kTimestamp = 8, kSequence = 10, kEvent = 11, kInterned = 12, kFlags = 13, kTrack = 60;
}
namespace event {
constexpr int kCategory = 3, kType = 9, kName = 10, kTrack = 11, kValue = 44, kFlow = 47, kLastFlow = 48;
}
namespace track {
constexpr int kUuid = 1, kName = 2, kProcess = 3, kThread = 4, kParent = 5, kCounter = 8;
}
namespace process {
constexpr int kPid = 1, kName = 6;
}
namespace thread {
constexpr int kPid = 1, kTid = 2, kName = 5;
}
namespace counter {
constexpr int kUnitName = 6;
}
namespace interned {
constexpr int kCategories = 1, kNames = 2, kIid = 1, kText = 2;
}
constexpr std::uint64_t kBegin = 1, kEnd = 2, kCount = 4;  // TrackEvent.Type
constexpr std::uint64_t kNetworkPid = 0x7fffffff;
constexpr std::uint64_t kCleared = 1, kSequence = 1;  // TracePacket.SequenceFlags; the one sequence

std::uint64_t nanoseconds(double seconds) { return static_cast<std::uint64_t>(std::llround(seconds * 1e9)); }

class PerfettoWriter {
 public:
  PerfettoWriter(const EventTable& events, const TraceNames& names, const std::vector<TraceCounter>& counters)
      : events_(events), names_(names), counters_(counters), flows_(flows_of(events)) {}

  std::string write() && {
    out_.reserve(events_.tasks.size() * 48 + 4096);
    open_sequence();
    for (std::size_t i = 0; i < events_.tasks.size(); ++i) slice(i);
    for (const TraceCounter& c : counters_) count(c);
    return std::move(out_).take();
  }

 private:
  // Nothing is lost before a reader, so packets need not say that they depend on earlier ones.
  void packet_with(int field, const Wire& inside, std::uint64_t time_ns = 0, bool timed = false) {
    packet_.clear();
    if (timed) packet_.number(packet::kTimestamp, time_ns);
    packet_.number(packet::kSequence, kSequence);
    packet_.message(field, inside.bytes());
    out_.message(trace::kPacket, packet_.bytes());
  }

  void open_sequence() {
    Wire categories;
    for (std::size_t i = 0; i < names_.categories.size(); ++i) {
      if (std::find(names_.categories.begin(), names_.categories.begin() + static_cast<std::ptrdiff_t>(i),
                    names_.categories[i]) != names_.categories.begin() + static_cast<std::ptrdiff_t>(i))
        continue;
      Wire entry;
      entry.number(interned::kIid, category(i));
      entry.text(interned::kText, names_.categories[i]);
      categories.message(interned::kCategories, entry.bytes());
    }
    packet_.clear();
    packet_.number(packet::kSequence, kSequence);
    packet_.number(packet::kFlags, kCleared);
    packet_.message(packet::kInterned, categories.bytes());
    out_.message(trace::kPacket, packet_.bytes());
  }

  std::uint64_t category(std::size_t kind) const {
    return static_cast<std::uint64_t>(
               std::find(names_.categories.begin(), names_.categories.end(), names_.categories[kind]) -
               names_.categories.begin()) +
           1;
  }

  std::uint64_t process_of(std::int32_t rank) {
    const auto [known, is_new] = processes_.try_emplace(rank, 0);
    if (!is_new) return known->second;
    known->second = ++tracks_;
    Wire inside, descriptor;
    inside.number(process::kPid, rank == kNetwork ? kNetworkPid : static_cast<std::uint64_t>(rank) + 1);
    inside.text(process::kName, rank == kNetwork ? "network" : names_.rank + " " + std::to_string(rank));
    descriptor.number(track::kUuid, known->second);
    descriptor.message(track::kProcess, inside.bytes());
    packet_with(packet::kTrack, descriptor);
    return known->second;
  }

  std::uint64_t thread_of(const TaskInfo& t) {
    const auto key = static_cast<std::uint64_t>(t.rank) << 8 | static_cast<std::uint64_t>(t.stream);
    const auto [known, is_new] = threads_.try_emplace(key, 0);
    if (!is_new) return known->second;
    const std::uint64_t parent = process_of(t.rank);
    known->second = ++tracks_;
    Wire inside, descriptor;
    inside.number(thread::kPid, static_cast<std::uint64_t>(t.rank) + 1);
    inside.number(thread::kTid,
                  (static_cast<std::uint64_t>(t.rank) + 1) * kStreamsPerRank + static_cast<std::uint64_t>(t.stream));
    inside.text(thread::kName, names_.streams[static_cast<std::size_t>(t.stream)]);
    descriptor.number(track::kUuid, known->second);
    descriptor.number(track::kParent, parent);
    descriptor.message(track::kThread, inside.bytes());
    packet_with(packet::kTrack, descriptor);
    return known->second;
  }

  // Names are sent once and numbered.
  std::uint64_t name_of(const TaskInfo& t) {
    const auto key = static_cast<std::uint64_t>(t.kind) << 56 |
                     static_cast<std::uint64_t>(static_cast<std::uint32_t>(t.piece + 1) & 0xffffff) << 32 |
                     static_cast<std::uint32_t>(t.micro_batch);
    const auto [known, is_new] = texts_.try_emplace(key, texts_.size() + 1);
    if (!is_new) return known->second;
    Wire entry, all;
    entry.number(interned::kIid, known->second);
    entry.text(interned::kText, title_of(names_.kinds, t));
    all.message(interned::kNames, entry.bytes());
    packet_with(packet::kInterned, all);
    return known->second;
  }

  void slice(std::size_t i) {
    poll_interrupt(16);
    const TaskInfo& t = events_.tasks[i];
    const std::uint64_t on = thread_of(t), name = name_of(t);
    event_.clear();
    event_.number(event::kType, kBegin);
    event_.number(event::kTrack, on);
    event_.number(event::kName, name);
    event_.number(event::kCategory, category(static_cast<std::size_t>(t.kind)));
    if (flows_.leaves[i] != 0) event_.fixed64(event::kFlow, flows_.leaves[i]);
    if (flows_.arrives[i] != 0) event_.fixed64(event::kLastFlow, flows_.arrives[i]);
    packet_with(packet::kEvent, event_, nanoseconds(events_.start_s[i]), true);
    event_.clear();
    event_.number(event::kType, kEnd);
    event_.number(event::kTrack, on);
    packet_with(packet::kEvent, event_, nanoseconds(events_.end_s[i]), true);
  }

  void count(const TraceCounter& c) {
    const std::uint64_t parent = process_of(c.rank), uuid = ++tracks_;
    Wire inside, descriptor;
    inside.text(counter::kUnitName, c.unit);
    descriptor.number(track::kUuid, uuid);
    descriptor.number(track::kParent, parent);
    descriptor.text(track::kName, c.name);
    descriptor.message(track::kCounter, inside.bytes());
    packet_with(packet::kTrack, descriptor);
    for (std::size_t i = 0; i < c.time_s.size(); ++i) {
      event_.clear();
      event_.number(event::kType, kCount);
      event_.number(event::kTrack, uuid);
      event_.real(event::kValue, c.value[i]);
      packet_with(packet::kEvent, event_, nanoseconds(c.time_s[i]), true);
    }
  }

  const EventTable& events_;
  const TraceNames& names_;
  const std::vector<TraceCounter>& counters_;
  EventFlows flows_;
  Wire out_, packet_, event_;
  std::unordered_map<std::int32_t, std::uint64_t> processes_;
  std::unordered_map<std::uint64_t, std::uint64_t> threads_, texts_;
  std::uint64_t tracks_ = 0;
};

}  // namespace

std::string perfetto_trace(const EventTable& events, const TraceNames& names,
                           const std::vector<TraceCounter>& counters) {
  return PerfettoWriter(events, names, counters).write();
}

}  // namespace dts

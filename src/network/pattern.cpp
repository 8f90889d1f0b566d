#include "network/pattern.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "error.hpp"

namespace dts {

namespace {

void check_sends(const Schedule& schedule, int members) {
  Checker check;
  for (std::size_t r = 0; r < schedule.size(); ++r) {
    for (std::size_t i = 0; i < schedule[r].sends.size() && check.violations().size() < 20; ++i) {
      const Send& send = schedule[r].sends[i];
      const std::string where = "rounds[" + std::to_string(r) + "].sends[" + std::to_string(i) + "]";
      const std::string got = std::to_string(send.from) + " -> " + std::to_string(send.to);
      check.require(send.from >= 0 && send.to >= 0 && send.from < members && send.to < members, where, got,
                    "members from 0 to " + std::to_string(members - 1));
      check.require(send.from != send.to, where, got, "two different members");
      if (!(std::isfinite(send.bytes) && send.bytes >= 0)) check.non_negative(where + ".bytes", send.bytes);
    }
  }
  check.throw_if_any();
}

// Each member sends once and hears once, along cycles: steps of it can be fused.
bool is_ring(const Round& round, int members) {
  if (round.sends.size() != static_cast<std::size_t>(members)) return false;
  std::vector<bool> sends(static_cast<std::size_t>(members), false), hears = sends;
  for (const Send& send : round.sends) {
    if (sends[static_cast<std::size_t>(send.from)] || hears[static_cast<std::size_t>(send.to)]) return false;
    sends[static_cast<std::size_t>(send.from)] = hears[static_cast<std::size_t>(send.to)] = true;
  }
  return true;
}

PatternRound indexed(const Round& round, int members) {
  const auto n = static_cast<std::size_t>(members);
  PatternRound result;
  result.first.assign(n + 1, 0);
  result.arrivals.assign(n, 0);
  for (const Send& send : round.sends) {
    ++result.first[static_cast<std::size_t>(send.from) + 1];
    ++result.arrivals[static_cast<std::size_t>(send.to)];
  }
  for (std::size_t m = 0; m < n; ++m) result.first[m + 1] += result.first[m];
  result.sends.resize(round.sends.size());
  std::vector<std::uint32_t> at(result.first.begin(), result.first.end() - 1);
  for (const Send& send : round.sends) {
    const double reduced = send.reduces ? send.bytes : 0;
    result.sends[at[static_cast<std::size_t>(send.from)]++] = {send.from, send.to,   send.bytes,
                                                               reduced,   send.lane, send.reduces};
  }
  result.repeat = static_cast<std::uint32_t>(round.repeat);
  return result;
}

bool same_sends(const PatternRound& a, const PatternRound& b) {
  return std::equal(a.sends.begin(), a.sends.end(), b.sends.begin(), b.sends.end(),
                    [](const PatternSend& x, const PatternSend& y) {
                      return x.from == y.from && x.to == y.to && x.bytes == y.bytes;
                    });
}

// Ring rounds with the same sends as one round, the bytes of a single step kept until `fuse`.
void merge_rings(std::vector<PatternRound>& rounds) {
  std::vector<PatternRound> merged;
  for (PatternRound& round : rounds) {
    PatternRound* before = merged.empty() ? nullptr : &merged.back();
    if (before != nullptr && before->fused_steps > 0 && round.fused_steps > 0 && same_sends(*before, round)) {
      for (std::size_t i = 0; i < round.sends.size(); ++i) {
        before->sends[i].reduced_bytes += round.sends[i].reduced_bytes * round.fused_steps;
      }
      before->fused_steps += round.fused_steps;
      continue;
    }
    for (PatternSend& send : round.sends) send.reduced_bytes *= std::max(round.fused_steps, 1u);
    merged.push_back(std::move(round));
  }
  rounds = std::move(merged);
}

void fuse(std::vector<PatternRound>& rounds) {
  merge_rings(rounds);
  for (PatternRound& round : rounds) {
    if (round.fused_steps == 0) continue;
    for (PatternSend& send : round.sends) send.bytes *= round.fused_steps;
  }
}

}  // namespace

Pattern make_pattern(const Schedule& schedule, int members, const PatternOptions& options) {
  check_sends(schedule, members);
  Pattern pattern;
  pattern.members = members;
  for (const Round& round : schedule) {
    PatternRound next = indexed(round, members);
    if (round.stages > 0) pattern.chunks = std::max(options.chunks, 1);
    if (options.fused && round.repeat > 1 && is_ring(round, members)) {
      next.fused_steps = next.repeat;
      next.repeat = 1;
    }
    pattern.rounds.push_back(std::move(next));
  }
  if (options.fused) fuse(pattern.rounds);
  return pattern;
}

double messages_of(const Pattern& pattern) noexcept {
  double messages = 0;
  for (const PatternRound& round : pattern.rounds)
    messages += static_cast<double>(round.repeat) * static_cast<double>(round.sends.size());
  return messages * std::max(1, pattern.chunks);
}

}  // namespace dts

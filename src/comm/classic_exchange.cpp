// Symmetric patterns: rings, direct and pairwise exchange, recursive doubling and halving, Bruck, dissemination.
#include <algorithm>
#include <utility>

#include "comm/classic_parts.hpp"

namespace dts {

int log2_floor(int n) {
  int log = 0;
  while (n >>= 1) ++log;
  return log;
}

int log2_ceil(int n) { return n <= 1 ? 0 : log2_floor(n - 1) + 1; }

void append(Schedule& schedule, Schedule tail) {
  for (Round& round : tail) schedule.push_back(std::move(round));
}

Schedule reversed(Schedule schedule, bool reduces) {
  std::reverse(schedule.begin(), schedule.end());
  for (Round& round : schedule) {
    for (Send& send : round.sends) {
      std::swap(send.from, send.to);
      send.reduces = reduces;
    }
  }
  return schedule;
}

Schedule ring_pass(int n, double block, bool reduces, bool both_ways) {
  Round round;
  round.repeat = n - 1;
  const double share = both_ways ? block / 2 : block;
  for (int i = 0; i < n; ++i) {
    round.sends.push_back({i, (i + 1) % n, share, reduces});
    if (both_ways) round.sends.push_back({i, (i + n - 1) % n, share, reduces});
  }
  return {round};
}

Schedule bucket_scatter(const std::vector<int>& dims, double bytes, bool reduces, bool both_ways) {
  int members = 1;
  for (int size : dims) members *= size;
  Schedule schedule;
  double block = bytes;
  int stride = 1;
  for (int size : dims) {
    block /= size;
    const bool both = both_ways && size > 2;  // of two members one is the neighbour on either side
    Round round;
    round.repeat = size - 1;
    for (int i = 0; size > 1 && i < members; ++i) {
      const int at = i / stride % size, base = i - at * stride;
      round.sends.push_back({i, base + (at + 1) % size * stride, both ? block / 2 : block, reduces});
      if (both) round.sends.push_back({i, base + (at + size - 1) % size * stride, block / 2, reduces});
    }
    if (size > 1) schedule.push_back(std::move(round));
    stride *= size;
  }
  return schedule;
}

Schedule direct_exchange(int n, double block, bool reduces) {
  Round round;
  round.sends.reserve(static_cast<std::size_t>(n) * static_cast<std::size_t>(n - 1));
  for (int i = 0; i < n; ++i) {
    for (int shift = 1; shift < n; ++shift) round.sends.push_back({i, (i + shift) % n, block, reduces});
  }
  return {round};
}

Schedule pairwise_exchange(int n, double block) {
  Schedule schedule;
  for (int shift = 1; shift < n; ++shift) {
    Round round;
    for (int i = 0; i < n; ++i) round.sends.push_back({i, (i + shift) % n, block, false});
    schedule.push_back(std::move(round));
  }
  return schedule;
}

Schedule fold_in(int n, double bytes, bool reduces) {
  Round round;
  for (int i = 1 << log2_floor(n); i < n; ++i) round.sends.push_back({i, i - (1 << log2_floor(n)), bytes, reduces});
  return round.sends.empty() ? Schedule{} : Schedule{round};
}

Schedule fold_out(int n, double bytes) { return reversed(fold_in(n, bytes, false), false); }

Schedule doubling_exchange(int n, double bytes) {
  Schedule schedule;
  const int participants = 1 << log2_floor(n);
  for (int distance = 1; distance < participants; distance *= 2) {
    Round round;
    for (int i = 0; i < participants; ++i) round.sends.push_back({i, i ^ distance, bytes, true});
    schedule.push_back(std::move(round));
  }
  return schedule;
}

Schedule halving(const std::vector<double>& blocks) {
  const int participants = static_cast<int>(blocks.size());
  std::vector<double> before(blocks.size() + 1, 0.0);  // bytes of the blocks before each
  for (std::size_t i = 0; i < blocks.size(); ++i) before[i + 1] = before[i] + blocks[i];
  Schedule schedule;
  for (int distance = participants / 2; distance >= 1; distance /= 2) {
    Round round;
    for (int i = 0; i < participants; ++i) {
      const int partner = i ^ distance;
      const auto first = static_cast<std::size_t>(partner / distance * distance);  // the partner's half
      const double bytes = before[first + static_cast<std::size_t>(distance)] - before[first];
      round.sends.push_back({i, partner, bytes, true});
    }
    schedule.push_back(std::move(round));
  }
  return schedule;
}

Schedule bruck_all_gather(int n, double block) {
  Schedule schedule;
  for (int held = 1; held < n; held *= 2) {
    Round round;
    for (int i = 0; i < n; ++i) round.sends.push_back({i, (i + n - held) % n, block * std::min(held, n - held), false});
    schedule.push_back(std::move(round));
  }
  return schedule;
}

Schedule bruck_all_to_all(int n, double block) {
  Schedule schedule;
  for (int bit = 1; bit < n; bit *= 2) {
    int moved = 0;  // blocks whose distance to their owner has this bit set
    for (int distance = 1; distance < n; ++distance) moved += (distance & bit) != 0;
    Round round;
    for (int i = 0; i < n; ++i) round.sends.push_back({i, (i + bit) % n, block * moved, false});
    schedule.push_back(std::move(round));
  }
  return schedule;
}

Schedule dissemination(int n) {
  Schedule schedule;
  for (int distance = 1; distance < n; distance *= 2) {
    Round round;
    for (int i = 0; i < n; ++i) round.sends.push_back({i, (i + distance) % n, 0.0, false});
    schedule.push_back(std::move(round));
  }
  return schedule;
}

}  // namespace dts

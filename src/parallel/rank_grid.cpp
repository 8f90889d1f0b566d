#include "parallel/rank_grid.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <string_view>

#include "interrupt.hpp"

namespace dts {

namespace {

constexpr std::array<const char*, kAxisCount> kAxisNames = {
    "tp",       "cp",          "dp",       "pp",         "ep",         "etp",       "edp",         "dp_cp",
    "cp_heads", "cp_sequence", "dp_shard", "dp_replica", "dp_reshard", "edp_shard", "edp_replica", "edp_reshard"};

std::size_t at(Axis axis) { return static_cast<std::size_t>(axis); }

bool is_part(Axis axis) { return at(axis) >= at(Axis::DP_SHARD); }
Axis whole_of(Axis part) { return at(part) >= at(Axis::EDP_SHARD) ? Axis::EDP : Axis::DP_CP; }

bool is_expert(Axis axis) { return axis == Axis::EP || axis == Axis::ETP || axis == Axis::EDP; }

}  // namespace

const char* name_of(Axis axis) noexcept { return kAxisNames[static_cast<std::size_t>(axis)]; }

std::vector<Axis> parse_rank_order(const std::string& order) {
  static constexpr Axis kKnown[] = {Axis::TP, Axis::CP, Axis::EP, Axis::DP, Axis::PP};
  std::vector<Axis> axes;
  axes.reserve(std::size(kKnown));
  std::size_t begin = 0;
  while (begin <= order.size()) {
    const std::size_t end = std::min(order.find('-', begin), order.size());
    const std::string_view word = std::string_view(order).substr(begin, end - begin);
    const auto match = std::find_if(std::begin(kKnown), std::end(kKnown), [&](Axis a) { return word == name_of(a); });
    if (match == std::end(kKnown) || std::find(axes.begin(), axes.end(), *match) != axes.end()) return {};
    axes.push_back(*match);
    begin = end + 1;
  }
  return axes.size() == std::size(kKnown) ? axes : std::vector<Axis>{};
}

namespace {

// Groups that shard states, and those that keep parameters between forward and backward.
void check_shards(Checker& check, const Strategy& s, long long expert_copies) {
  const long long copies = static_cast<long long>(s.dp) * s.cp, replicas = s.dp_replicas;
  if (!check.at_least("strategy.dp_replicas", s.dp_replicas, 1)) return;
  check.require(replicas == 1 || s.zero > 0, [&] {
    return Violation{"strategy.dp_replicas", std::to_string(replicas),
                     "1 without sharded states: every rank is a replica", "use zero=1, 2 or 3"};
  });
  if (!check.require(copies % replicas == 0, [&] {
        return Violation{"strategy.dp_replicas", std::to_string(replicas),
                         "a divisor of dp * cp = " + std::to_string(copies), ""};
      }))
    return;
  if (!check.require(s.ep == 1 || expert_copies % replicas == 0, [&] {
        return Violation{"strategy.dp_replicas", std::to_string(replicas),
                         "a divisor of the " + std::to_string(expert_copies) + " copies of an expert", ""};
      }))
    return;
  const long long group = s.reshard_after_forward;
  check.require(group >= -1, [&] {
    return Violation{"strategy.reshard_after_forward", std::to_string(group),
                     "-1 (the framework's), 0, 1 or a group size", ""};
  });
  check.require(group < 0 || s.zero == 3, [&] {
    return Violation{"strategy.reshard_after_forward", std::to_string(group), "nothing unless parameters are sharded",
                     "use zero=3"};
  });
  check.require(group <= 1 || copies / replicas % group == 0, [&] {
    return Violation{"strategy.reshard_after_forward", std::to_string(group),
                     "a divisor of the " + std::to_string(copies / replicas) + " ranks that shard parameters", ""};
  });
  const long long expert_shards = expert_copies / replicas;
  check.require(group <= 1 || s.ep == 1 || expert_shards % group == 0 || group % expert_shards == 0, [&] {
    return Violation{"strategy.reshard_after_forward", std::to_string(group),
                     "a divisor or a multiple of the " + std::to_string(expert_shards) + " ranks that shard an expert",
                     ""};
  });
}

}  // namespace

void check_grid(Checker& check, const Strategy& s) {
  bool counts = true;
  const auto one = [&](const char* name, int value) {
    counts &= value >= 1 || check.at_least(std::string("strategy.") + name, value, 1);
  };
  one("cp_a2a", s.cp_a2a);
  one("dp", s.dp), one("tp", s.tp), one("pp", s.pp), one("cp", s.cp), one("ep", s.ep), one("etp", s.etp);
  check.require(!parse_rank_order(s.rank_order).empty(), [&] {
    return Violation{"strategy.rank_order", s.rank_order, "a permutation of tp, cp, ep, dp and pp joined by '-'",
                     "use tp-cp-ep-dp-pp"};
  });
  if (!counts) return;
  check.require(s.cp_comm == ContextComm::A2AP2P ? s.cp % s.cp_a2a == 0 : s.cp_a2a == 1, [&] {
    return Violation{"strategy.cp_a2a", std::to_string(s.cp_a2a),
                     "a divisor of cp=" + std::to_string(s.cp) + " with cp_comm a2a+p2p, else 1", ""};
  });
  const double world = static_cast<double>(s.dp) * s.tp * s.pp * s.cp;
  if (!check.require(world <= kMaxRanks, [&] {
        return Violation{"strategy.dp * tp * pp * cp", number_text(world),
                         "at most " + std::to_string(kMaxRanks) + " ranks", ""};
      })) {
    return;
  }
  const long long ranks = static_cast<long long>(s.tp) * s.cp * s.dp, expert = static_cast<long long>(s.ep) * s.etp;
  if (check.require(ranks % expert == 0, [&] {
        return Violation{"strategy.ep * etp", std::to_string(expert),
                         "a divisor of tp * cp * dp = " + std::to_string(ranks), ""};
      })) {
    check_shards(check, s, ranks / expert);
  }
}

RankGrid::RankGrid(const Strategy& s) {
  Checker check;
  check_grid(check, s);
  check.throw_if_any();
  world_ = static_cast<int>(world_size(s));
  size_[at(Axis::TP)] = s.tp;
  size_[at(Axis::CP)] = s.cp;
  size_[at(Axis::DP)] = s.dp;
  size_[at(Axis::PP)] = s.pp;
  size_[at(Axis::EP)] = s.ep;
  size_[at(Axis::ETP)] = s.etp;
  size_[at(Axis::EDP)] = s.tp * s.cp * s.dp / (s.ep * s.etp);
  size_[at(Axis::DP_CP)] = s.dp * s.cp;
  size_[at(Axis::CP_HEADS)] = head_split(s);
  size_[at(Axis::CP_SEQUENCE)] = s.cp / head_split(s);
  for (Axis axis : {Axis::DP_CP, Axis::DP_SHARD, Axis::DP_REPLICA, Axis::DP_RESHARD, Axis::EDP_SHARD, Axis::EDP_REPLICA,
                    Axis::EDP_RESHARD}) {
    stride_[at(axis)] = 1;
  }
  const auto cut = [&](Axis whole, Axis shard, Axis replica, Axis reshard) {
    const bool divides = size(whole) % s.dp_replicas == 0;  // always for groups that hold parameters
    size_[at(replica)] = divides ? s.dp_replicas : 1;
    size_[at(shard)] = size(whole) / size(replica);
    const int wanted = s.reshard_after_forward > 1 ? std::min(s.reshard_after_forward, size(shard)) : size(shard);
    size_[at(reshard)] = size(shard) % wanted == 0 ? wanted : size(shard);
  };
  cut(Axis::DP_CP, Axis::DP_SHARD, Axis::DP_REPLICA, Axis::DP_RESHARD);
  cut(Axis::EDP, Axis::EDP_SHARD, Axis::EDP_REPLICA, Axis::EDP_RESHARD);
  int dense = 1, expert = 1;
  const auto place = [&](Axis axis, int& stride) {
    stride_[at(axis)] = stride;
    stride *= size_[at(axis)];
  };
  for (Axis axis : parse_rank_order(s.rank_order)) {
    // The expert grid replaces tp by etp and dp by edp; cp has no expert counterpart, ep no dense one.
    if (axis != Axis::EP) place(axis, dense);
    if (axis == Axis::CP) {
      stride_[at(Axis::CP_HEADS)] = stride_[at(Axis::CP)];
      stride_[at(Axis::CP_SEQUENCE)] = stride_[at(Axis::CP)] * size_[at(Axis::CP_HEADS)];
    }
    if (axis == Axis::TP) place(Axis::ETP, expert);
    if (axis == Axis::EP) place(Axis::EP, expert);
    if (axis == Axis::DP) place(Axis::EDP, expert);
  }
}

int RankGrid::place_of(int rank, Axis axis) const noexcept {
  if (!is_expert(axis)) return rank;
  const int inner = stride_[at(Axis::PP)], block = inner * size_[at(Axis::PP)];
  return rank / block * inner + rank % inner;
}

int RankGrid::rank_at(int place, int like, Axis axis) const noexcept {
  if (!is_expert(axis)) return place;
  const int inner = stride_[at(Axis::PP)];
  return (place / inner * size_[at(Axis::PP)] + coordinate(like, Axis::PP)) * inner + place % inner;
}

int RankGrid::coordinate(int rank, Axis axis) const noexcept {
  return place_of(rank, axis) / stride_[at(axis)] % size_[at(axis)];
}

std::vector<int> RankGrid::group(int rank, Axis axis) const {
  if (axis == Axis::DP_CP) return gradient_group(rank);
  if (is_part(axis)) {
    const std::vector<int> whole = group(rank, whole_of(axis));
    return part(whole, static_cast<int>(std::find(whole.begin(), whole.end(), rank) - whole.begin()), axis);
  }
  const int first = place_of(rank, axis) - coordinate(rank, axis) * stride_[at(axis)];
  std::vector<int> ranks(static_cast<std::size_t>(size(axis)));
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    ranks[i] = rank_at(first + static_cast<int>(i) * stride_[at(axis)], rank, axis);
  }
  return ranks;
}

std::vector<std::vector<int>> RankGrid::groups(Axis axis) const {
  std::vector<std::vector<int>> all;
  all.reserve(static_cast<std::size_t>(world_ / size(axis)));
  if (is_part(axis)) {
    for (const std::vector<int>& whole : groups(whole_of(axis))) {
      const bool across = axis == Axis::DP_REPLICA || axis == Axis::EDP_REPLICA;
      const int parts = static_cast<int>(whole.size()) / size(axis);
      for (int i = 0; i < parts; ++i) all.push_back(part(whole, across ? i : i * size(axis), axis));
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  for (int rank = 0; rank < world_; ++rank) {
    poll_interrupt(4);
    const bool first = axis == Axis::DP_CP ? coordinate(rank, Axis::DP) == 0 && coordinate(rank, Axis::CP) == 0
                                           : coordinate(rank, axis) == 0;
    if (first) all.push_back(group(rank, axis));
  }
  return all;
}

// Expert groups repeat only where stages are whole blocks of ranks.
std::vector<std::vector<int>> RankGrid::groups_apart(Axis axis, int period) const {
  const bool stages_last = size(Axis::PP) * stride_[at(Axis::PP)] == world_;
  const Axis whole = is_part(axis) ? whole_of(axis) : axis;
  if (period <= 0 || (is_expert(whole) && !stages_last)) return groups(axis);
  std::map<int, int> firsts{{0, 0}};  // of the whole groups: the smallest first rank of each remainder
  for (Axis other : beside(whole)) {
    std::map<int, int> more;
    for (const auto& known : firsts) {
      for (int i = 0; i < std::min(size(other), period); ++i) {
        const int first = known.second + i * stride_[at(other)];
        const auto [found, is_new] = more.try_emplace(first % period, first);
        if (!is_new) found->second = std::min(found->second, first);
      }
    }
    firsts = std::move(more);
  }
  std::vector<std::vector<int>> all;
  for (const auto& known : firsts) {
    const std::vector<int> ranks = group(known.second, whole);
    const int parts = is_part(axis) ? static_cast<int>(ranks.size()) / size(axis) : 1;
    const bool across = axis == Axis::DP_REPLICA || axis == Axis::EDP_REPLICA;
    for (int i = 0; i < parts; ++i)
      all.push_back(is_part(axis) ? part(ranks, across ? i : i * size(axis), axis) : ranks);
  }
  std::sort(all.begin(), all.end());
  return all;
}

// Axes that tell the groups of an axis apart.
std::vector<Axis> RankGrid::beside(Axis axis) const {
  switch (axis) {
    case Axis::TP: return {Axis::CP, Axis::DP, Axis::PP};
    case Axis::CP: return {Axis::TP, Axis::DP, Axis::PP};
    case Axis::DP: return {Axis::TP, Axis::CP, Axis::PP};
    case Axis::PP: return {Axis::TP, Axis::CP, Axis::DP};
    case Axis::CP_HEADS: return {Axis::TP, Axis::DP, Axis::PP, Axis::CP_SEQUENCE};
    case Axis::CP_SEQUENCE: return {Axis::TP, Axis::DP, Axis::PP, Axis::CP_HEADS};
    case Axis::EP: return {Axis::ETP, Axis::EDP, Axis::PP};
    case Axis::ETP: return {Axis::EP, Axis::EDP, Axis::PP};
    case Axis::EDP: return {Axis::ETP, Axis::EP, Axis::PP};
    default: return {Axis::TP, Axis::PP};  // DP_CP
  }
}

std::vector<int> RankGrid::part(const std::vector<int>& whole, int index, Axis axis) const {
  const int width = size(axis), parts = static_cast<int>(whole.size()) / width;
  const bool across = axis == Axis::DP_REPLICA || axis == Axis::EDP_REPLICA;
  const int first = across ? index % parts : index / width * width;
  std::vector<int> ranks;
  ranks.reserve(static_cast<std::size_t>(width));
  for (int i = 0; i < width; ++i) ranks.push_back(whole[static_cast<std::size_t>(first + i * (across ? parts : 1))]);
  return ranks;
}

std::vector<int> RankGrid::gradient_group(int rank) const {
  std::vector<int> ranks;
  for (int across : group(rank, Axis::DP)) {
    for (int member : group(across, Axis::CP)) ranks.push_back(member);
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

}  // namespace dts

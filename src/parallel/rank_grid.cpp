#include "parallel/rank_grid.hpp"

#include <algorithm>
#include <cstddef>

namespace dts {

namespace {

constexpr std::array<const char*, kAxisCount> kAxisNames = {"tp", "cp", "dp", "pp", "ep", "etp", "edp", "dp_cp",
                                                         "cp_heads", "cp_sequence"};

std::size_t at(Axis axis) { return static_cast<std::size_t>(axis); }

bool is_expert(Axis axis) { return axis == Axis::EP || axis == Axis::ETP || axis == Axis::EDP; }

}  // namespace

const char* name_of(Axis axis) noexcept { return kAxisNames[static_cast<std::size_t>(axis)]; }

std::vector<Axis> parse_rank_order(const std::string& order) {
  const std::vector<Axis> known = {Axis::TP, Axis::CP, Axis::EP, Axis::DP, Axis::PP};
  std::vector<Axis> axes;
  std::size_t begin = 0;
  while (begin <= order.size()) {
    const std::size_t end = std::min(order.find('-', begin), order.size());
    const std::string word = order.substr(begin, end - begin);
    const auto match = std::find_if(known.begin(), known.end(), [&](Axis a) { return word == name_of(a); });
    if (match == known.end() || std::find(axes.begin(), axes.end(), *match) != axes.end()) return {};
    axes.push_back(*match);
    begin = end + 1;
  }
  return axes.size() == known.size() ? axes : std::vector<Axis>{};
}

void check_grid(Checker& check, const Strategy& s) {
  bool counts = true;
  const auto one = [&](const char* name, int value) { counts &= check.at_least(std::string("strategy.") + name, value, 1); };
  one("cp_a2a", s.cp_a2a);
  one("dp", s.dp), one("tp", s.tp), one("pp", s.pp), one("cp", s.cp), one("ep", s.ep), one("etp", s.etp);
  check.require(!parse_rank_order(s.rank_order).empty(), "strategy.rank_order", s.rank_order,
                "a permutation of tp, cp, ep, dp and pp joined by '-'", "use tp-cp-ep-dp-pp");
  if (!counts) return;
  check.require(s.cp_comm == ContextComm::A2AP2P ? s.cp % s.cp_a2a == 0 : s.cp_a2a == 1, "strategy.cp_a2a",
                std::to_string(s.cp_a2a), "a divisor of cp=" + std::to_string(s.cp) + " with cp_comm a2a+p2p, else 1");
  const double world = static_cast<double>(s.dp) * s.tp * s.pp * s.cp;
  if (!check.require(world <= kMaxRanks, "strategy.dp * tp * pp * cp", number_text(world),
                     "at most " + std::to_string(kMaxRanks) + " ranks")) {
    return;
  }
  const long long ranks = static_cast<long long>(s.tp) * s.cp * s.dp, expert = static_cast<long long>(s.ep) * s.etp;
  check.require(ranks % expert == 0, "strategy.ep * etp", std::to_string(expert),
                "a divisor of tp * cp * dp = " + std::to_string(ranks));
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
  stride_[at(Axis::DP_CP)] = 1;
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
  for (int rank = 0; rank < world_; ++rank) {
    const bool first = axis == Axis::DP_CP ? coordinate(rank, Axis::DP) == 0 && coordinate(rank, Axis::CP) == 0
                                           : coordinate(rank, axis) == 0;
    if (first) all.push_back(group(rank, axis));
  }
  return all;
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

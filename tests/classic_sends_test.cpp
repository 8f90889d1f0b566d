// Who sends what to whom in each round of the classic algorithms, written out for few members.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "comm/classic.hpp"

namespace {

using dts::Algorithm;
using dts::CollectiveKind;

// "0>1:4" sends 4 bytes, "+": to be added up, "@1": in the second lane; "all+1:4": every member to its successor.
std::string text(const dts::Round& round, int n) {
  std::vector<std::tuple<int, int, int, bool, double>> sends;
  std::map<std::tuple<int, bool, double>, int> shifts;
  for (const dts::Send& s : round.sends) {
    sends.emplace_back(s.from, s.to, s.lane, s.reduces, s.bytes);
    if (s.lane == 0) ++shifts[{(s.to - s.from + n) % n, s.reduces, s.bytes}];
  }
  std::sort(sends.begin(), sends.end());
  std::ostringstream out;
  if (round.repeat != 1) out << round.repeat << "x ";
  if (round.stages != 0) out << round.stages << " stages ";
  for (const auto& [shift, times] : shifts) {
    const auto& [by, reduces, bytes] = shift;
    if (times == n) out << "all+" << by << ":" << bytes << (reduces ? "+ " : " ");
  }
  for (const auto& [from, to, lane, reduces, bytes] : sends) {
    if (lane == 0 && shifts[{(to - from + n) % n, reduces, bytes}] == n) continue;
    out << from << ">" << to << ":" << bytes << (reduces ? "+" : "") << (lane > 0 ? "@" + std::to_string(lane) : "")
        << " ";
  }
  std::string line = out.str();
  line.pop_back();
  return line;
}

std::string sends(CollectiveKind kind, Algorithm algorithm, int n = 6, const std::vector<int>& dims = {}) {
  std::string all;
  for (const dts::Round& round : classic_schedule(kind, algorithm, 24, n, dims)) {
    all += (all.empty() ? "" : " | ") + text(round, n);
  }
  return all;
}

TEST(ClassicSends, ReduceScatter) {
  const auto of = [](Algorithm a, const std::vector<int>& dims = {}) {
    return sends(CollectiveKind::ReduceScatter, a, 6, dims);
  };
  EXPECT_EQ(of(Algorithm::Ring), "5x all+1:4+");
  EXPECT_EQ(of(Algorithm::BidirectionalRing), "5x all+1:2+ all+5:2+");
  EXPECT_EQ(of(Algorithm::Direct), "all+1:4+ all+2:4+ all+3:4+ all+4:4+ all+5:4+");
  // Two members fold theirs onto 0 and 1, which own two blocks each of the half that they take.
  EXPECT_EQ(of(Algorithm::RecursiveHalving),
            "4>0:24+ 5>1:24+ | 0>2:8+ 1>3:8+ 2>0:16+ 3>1:16+ | 0>1:8+ 1>0:8+ 2>3:4+ 3>2:4+ | 0>4:4 1>5:4");
  EXPECT_EQ(sends(CollectiveKind::ReduceScatter, Algorithm::RecursiveHalving, 4),
            "all+2:12+ | 0>1:6+ 1>0:6+ 2>3:6+ 3>2:6+");
  // Along the dimensions of a grid in turn: halves, then thirds of a half; a torus goes both ways round three.
  const std::string pairs = "0>1:12+ 1>0:12+ 2>3:12+ 3>2:12+ 4>5:12+ 5>4:12+";
  EXPECT_EQ(of(Algorithm::Hierarchical, {2, 3}), pairs + " | 2x all+2:4+");
  EXPECT_EQ(of(Algorithm::TorusBucket, {2, 3}), pairs + " | 2x all+2:2+ all+4:2+");
  EXPECT_EQ(of(Algorithm::TorusBucket, {3, 2}),
            "2x 0>1:4+ 0>2:4+ 1>0:4+ 1>2:4+ 2>0:4+ 2>1:4+ 3>4:4+ 3>5:4+ 4>3:4+ 4>5:4+ 5>3:4+ 5>4:4+ | all+3:4+");
  EXPECT_EQ(of(Algorithm::Hierarchical, {1, 6}), "5x all+1:4+");
}

TEST(ClassicSends, AllGather) {
  const auto of = [](Algorithm a, const std::vector<int>& dims = {}) {
    return sends(CollectiveKind::AllGather, a, 6, dims);
  };
  EXPECT_EQ(of(Algorithm::Ring), "5x all+1:4");
  EXPECT_EQ(of(Algorithm::BidirectionalRing), "5x all+1:2 all+5:2");
  EXPECT_EQ(of(Algorithm::Direct), "all+1:4 all+2:4 all+3:4 all+4:4 all+5:4");
  EXPECT_EQ(of(Algorithm::Bruck), "all+5:4 | all+4:8 | all+2:8");
  EXPECT_EQ(of(Algorithm::RecursiveDoubling),
            "4>0:4 5>1:4 | 0>1:8 1>0:8 2>3:4 3>2:4 | 0>2:16 1>3:16 2>0:8 3>1:8 | 0>4:20 1>5:20");
  EXPECT_EQ(of(Algorithm::Hierarchical, {2, 3}), "2x all+4:4 | 0>1:12 1>0:12 2>3:12 3>2:12 4>5:12 5>4:12");
}

TEST(ClassicSends, AllReduce) {
  const auto of = [](Algorithm a, int n = 6) { return sends(CollectiveKind::AllReduce, a, n); };
  const std::string in = "4>0:24+ 5>1:24+ | ", out = " | 0>4:24 1>5:24";
  EXPECT_EQ(of(Algorithm::Ring), "5x all+1:4+ | 5x all+1:4");
  EXPECT_EQ(of(Algorithm::Direct),
            "all+1:4+ all+2:4+ all+3:4+ all+4:4+ all+5:4+ | all+1:4 all+2:4 all+3:4 all+4:4 all+5:4");
  EXPECT_EQ(of(Algorithm::RecursiveDoubling),
            in + "0>1:24+ 1>0:24+ 2>3:24+ 3>2:24+ | 0>2:24+ 1>3:24+ 2>0:24+ 3>1:24+" + out);
  EXPECT_EQ(of(Algorithm::Rabenseifner), in + "0>2:12+ 1>3:12+ 2>0:12+ 3>1:12+ | 0>1:6+ 1>0:6+ 2>3:6+ 3>2:6+ | " +
                                             "0>1:6 1>0:6 2>3:6 3>2:6 | 0>2:12 1>3:12 2>0:12 3>1:12" + out);
  EXPECT_EQ(of(Algorithm::Tree),
            "4>0:24+ 5>1:24+ | 2>0:24+ 3>1:24+ | 1>0:24+ | 0>1:24 | 0>2:24 1>3:24 | 0>4:24 1>5:24");
}

// Of four 0-2, 2-1, 2-3 and its mirror image 3-1, 1-2, 1-0; of three 0-2, 2-1 and the same one
// further: 1-0, 0-2. The root, which the second tree has as a leaf, gets nothing.
TEST(ClassicSends, DoubleBinaryTreesOfFewMembers) {
  EXPECT_EQ(sends(CollectiveKind::Broadcast, Algorithm::DoubleBinaryTree, 4),
            "3 stages 0>2:12 0>3:12@1 1>2:12@1 2>1:12 2>3:12 3>1:12@1");
  EXPECT_EQ(sends(CollectiveKind::Broadcast, Algorithm::DoubleBinaryTree, 3),
            "3 stages 0>1:12@1 0>2:12 0>2:12@1 2>1:12");
}

// Of six 0-4, 4-2, 4-5, 2-1, 2-3 and its mirror image 5-1, 1-3, 1-0, 3-4, 3-2; of five 0-4, 4-2, 2-1, 2-3 and the same
// one further: 1-0, 0-3, 3-2, 3-4. Half of the bytes on each.
TEST(ClassicSends, DoubleBinaryTree) {
  EXPECT_EQ(sends(CollectiveKind::AllReduce, Algorithm::DoubleBinaryTree),
            "6 stages 0>1:12+@1 0>4:12 1>0:12@1 1>2:12+ 1>3:12@1 1>5:12+@1 2>1:12 2>3:12 2>3:12+@1 2>4:12+ "
            "3>1:12+@1 3>2:12+ 3>2:12@1 3>4:12@1 4>0:12+ 4>2:12 4>3:12+@1 4>5:12 5>1:12@1 5>4:12+");
  EXPECT_EQ(sends(CollectiveKind::Broadcast, Algorithm::DoubleBinaryTree, 5),
            "4 stages 0>1:12@1 0>3:12@1 0>4:12 2>1:12 2>3:12 3>2:12@1 3>4:12@1 4>2:12");
  EXPECT_EQ(sends(CollectiveKind::Reduce, Algorithm::DoubleBinaryTree, 5),
            "4 stages 1>0:12+@1 1>2:12+ 2>3:12+@1 2>4:12+ 3>0:12+@1 3>2:12+ 4>0:12+ 4>3:12+@1");
}

TEST(ClassicSends, FromAndToARoot) {
  const std::string scattered = "0>4:8 | 0>2:8 | 0>1:4 2>3:4 4>5:4";
  EXPECT_EQ(sends(CollectiveKind::Scatter, Algorithm::Tree), scattered);
  EXPECT_EQ(sends(CollectiveKind::Gather, Algorithm::Tree), "1>0:4 3>2:4 5>4:4 | 2>0:8 | 4>0:8");
  EXPECT_EQ(sends(CollectiveKind::Scatter, Algorithm::Direct), "0>1:4 0>2:4 0>3:4 0>4:4 0>5:4");
  EXPECT_EQ(sends(CollectiveKind::Broadcast, Algorithm::Tree), "0>1:24 | 0>2:24 1>3:24 | 0>4:24 1>5:24");
  EXPECT_EQ(sends(CollectiveKind::Broadcast, Algorithm::Chain), "5 stages 0>1:24 1>2:24 2>3:24 3>4:24 4>5:24");
  EXPECT_EQ(sends(CollectiveKind::Broadcast, Algorithm::ScatterAllGather), scattered + " | 5x all+1:4");
  EXPECT_EQ(sends(CollectiveKind::Broadcast, Algorithm::Direct), "0>1:24 0>2:24 0>3:24 0>4:24 0>5:24");
  EXPECT_EQ(sends(CollectiveKind::Reduce, Algorithm::Chain), "5 stages 1>0:24+ 2>1:24+ 3>2:24+ 4>3:24+ 5>4:24+");
  EXPECT_EQ(sends(CollectiveKind::SendRecv, Algorithm::Direct), "0>1:24");
}

TEST(ClassicSends, AllToAllAndBarrier) {
  EXPECT_EQ(sends(CollectiveKind::AllToAll, Algorithm::Pairwise), "all+1:4 | all+2:4 | all+3:4 | all+4:4 | all+5:4");
  EXPECT_EQ(sends(CollectiveKind::AllToAll, Algorithm::Direct), "all+1:4 all+2:4 all+3:4 all+4:4 all+5:4");
  EXPECT_EQ(sends(CollectiveKind::AllToAll, Algorithm::Bruck), "all+1:12 | all+2:8 | all+4:8");
  EXPECT_EQ(sends(CollectiveKind::Barrier, Algorithm::Dissemination), "all+1:0 | all+2:0 | all+4:0");
}

}  // namespace

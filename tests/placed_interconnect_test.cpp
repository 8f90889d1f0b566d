// Ranks on devices of one's choice: groups cost what their devices cost.
#include <gtest/gtest.h>

#include <numeric>

#include "comm/interconnect.hpp"
#include "error.hpp"

namespace {

using namespace dts;

constexpr double kBytes = 1e9;

double all_reduce_s(const Interconnect& network, std::vector<int> ranks) {
  return network.cost(CollectiveKind::AllReduce, kBytes, network.group(std::move(ranks))).time_s;
}

TEST(PlacedInterconnect, GroupsCostWhatTheirDevicesCost) {
  ClusterSpec cluster;
  cluster.nodes = 2;
  const auto network = make_interconnect(cluster);
  std::vector<int> dealt;  // even ranks on the first node, odd ones on the second
  for (int rank = 0; rank < 16; ++rank) dealt.push_back(rank % 2 * 8 + rank / 2);
  const auto placed = place_on(*network, dealt);
  EXPECT_EQ(placed->device_count(), 16);
  EXPECT_EQ(placed->cluster(), network->cluster());
  EXPECT_EQ(placed->uniform(), network->uniform());
  EXPECT_EQ(placed->node_kinds(), 1);
  EXPECT_EQ(all_reduce_s(*placed, {0, 2, 4, 6}), all_reduce_s(*network, {0, 1, 2, 3}));
  EXPECT_EQ(all_reduce_s(*placed, {0, 1}), all_reduce_s(*network, {0, 8}));
  EXPECT_GT(all_reduce_s(*placed, {0, 1}), all_reduce_s(*placed, {0, 2}));
  EXPECT_EQ(placed->group({1, 3}).ranks, (std::vector<int>{8, 9}));
}

TEST(PlacedInterconnect, TrafficGoesBetweenDevices) {
  ClusterSpec cluster;
  cluster.nodes = 2;
  const auto network = make_interconnect(cluster);
  std::vector<int> reversed(16);
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  const auto placed = place_on(*network, reversed);
  std::vector<double> matrix(256, 0.0), direct(256, 0.0);
  placed->add_traffic(CollectiveKind::AllReduce, kBytes, 2, placed->group({0, 1, 2}), matrix);
  network->add_traffic(CollectiveKind::AllReduce, kBytes, 2, network->group({15, 14, 13}), direct);
  EXPECT_EQ(matrix, direct);
  EXPECT_GT(std::accumulate(matrix.begin(), matrix.end(), 0.0), 0);
}

TEST(PlacedInterconnect, KindsAreThoseOfDevices) {
  ClusterSpec cluster;
  cluster.nodes = 2;
  OtherNodes slow{cluster.node, {1}};
  slow.node.nic_Bps /= 2;
  cluster.others.push_back(slow);
  const auto network = make_interconnect(cluster);
  std::vector<int> reversed(16);
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  EXPECT_EQ(place_on(*network, reversed)->node_kind(0), network->node_kind(15));
  EXPECT_EQ(place_on(*network, reversed)->node_kinds(), 2);
}

TEST(PlacedInterconnect, OnlyPermutationsArePlacements) {
  ClusterSpec cluster;
  const auto network = make_interconnect(cluster);
  const auto places = [&](std::vector<int> device_of) { return place_on(*network, std::move(device_of)); };
  EXPECT_THROW(places({0, 1}), ConfigError);
  EXPECT_THROW(places({0, 0, 1, 2, 3, 4, 5, 6}), ConfigError);
  EXPECT_THROW(places({0, 1, 2, 3, 4, 5, 6, 8}), ConfigError);
  EXPECT_NO_THROW(places({7, 6, 5, 4, 3, 2, 1, 0}));
}

}  // namespace

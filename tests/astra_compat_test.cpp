// Closed forms worked out by hand: 1 GiB/s carries 1.073741824 bytes a nanosecond; each step is cut to whole ones.
#include "network/astra_compat.hpp"

#include <gtest/gtest.h>

#include "error.hpp"

namespace {

using namespace dts;

AstraSystem system_of(AstraTopology topology, int npus, AstraAlgorithm algorithm = AstraAlgorithm::Ring) {
  AstraSystem system;
  system.dims = {{topology, npus, 1, 500, algorithm}};
  system.local_memory_GBps = 3;  // a byte combined takes a nanosecond
  return system;
}

constexpr double kBytes = 4 * 1073741824.0;  // a quarter takes 1e9 ns on a link

TEST(AstraCompat, RingPasses) {
  const AstraSystem ring = system_of(AstraTopology::Ring, 4);
  const double step = 1e9 + 500, combine = 1073741824;
  EXPECT_NEAR(astra_time_ns(ring, CollectiveKind::ReduceScatter, kBytes), 3 * (step + combine), 12);
  EXPECT_NEAR(astra_time_ns(ring, CollectiveKind::AllGather, kBytes / 4), 3 * step, 12);
  EXPECT_NEAR(astra_time_ns(ring, CollectiveKind::AllReduce, kBytes), 6 * step + 3 * combine, 12);
  const AstraSystem direct = system_of(AstraTopology::Ring, 4, AstraAlgorithm::Direct);
  EXPECT_NEAR(astra_time_ns(direct, CollectiveKind::AllToAll, kBytes), 1e9 + 2 * 500,
              12);  // the farthest is two hops away
}

TEST(AstraCompat, HopsOfTopologies) {
  const double none = 0;
  constexpr AstraAlgorithm kDirect = AstraAlgorithm::Direct;
  EXPECT_NEAR(astra_time_ns(system_of(AstraTopology::Switch, 4, kDirect), CollectiveKind::AllToAll, none), 1000, 12);
  EXPECT_NEAR(astra_time_ns(system_of(AstraTopology::FullyConnected, 4, kDirect), CollectiveKind::AllToAll, none), 500,
              12);
  EXPECT_NEAR(astra_time_ns(system_of(AstraTopology::Ring, 9, kDirect), CollectiveKind::AllToAll, none), 4 * 500, 12);
}

TEST(AstraCompat, ChunksRunSideBySide) {
  AstraSystem ring = system_of(AstraTopology::Ring, 4);
  ring.chunks = 4;
  EXPECT_NEAR(astra_time_ns(ring, CollectiveKind::AllGather, kBytes), 3 * (1e9 + 500), 12);
}

TEST(AstraCompat, HalvingDoublingAndDirect) {
  const AstraSystem halving = system_of(AstraTopology::FullyConnected, 4, AstraAlgorithm::HalvingDoubling);
  // Halves of 2e9 and 1e9 ns, each there and back; one reduction, of the next halving's size.
  EXPECT_NEAR(astra_time_ns(halving, CollectiveKind::AllReduce, kBytes), 2 * (2e9 + 500) + 2 * (1e9 + 500) + 1073741824,
              12);
  const AstraSystem direct = system_of(AstraTopology::FullyConnected, 4, AstraAlgorithm::Direct);
  EXPECT_NEAR(astra_time_ns(direct, CollectiveKind::AllReduce, kBytes), 2 * (1e9 + 500) + 1073741824, 12);
  const AstraSystem two_hops = system_of(AstraTopology::Ring, 4, AstraAlgorithm::Direct);
  EXPECT_GT(astra_time_ns(two_hops, CollectiveKind::AllReduce, kBytes),
            astra_time_ns(direct, CollectiveKind::AllReduce, kBytes));
}

TEST(AstraCompat, SeveralDimensionsScatterUpAndGatherDown) {
  AstraSystem two = system_of(AstraTopology::Ring, 2);
  two.dims.push_back({AstraTopology::Switch, 4, 2, 100, AstraAlgorithm::Ring});
  const double up = 1 * (2e9 + 500 + 2 * 1073741824.0) + 3 * (0.25e9 + 200 + 536870912);
  EXPECT_NEAR(astra_time_ns(two, CollectiveKind::ReduceScatter, kBytes), up, 12);
  EXPECT_NEAR(astra_time_ns(two, CollectiveKind::AllReduce, kBytes), up + 3 * (0.25e9 + 200) + (2e9 + 500), 12);
}

TEST(AstraCompat, RefusesWhatItWasNotFoundOutFor) {
  EXPECT_THROW(astra_time_ns({}, CollectiveKind::AllReduce, 1), ConfigError);
  EXPECT_THROW(astra_time_ns(system_of(AstraTopology::Ring, 1), CollectiveKind::AllReduce, 1), ConfigError);
  EXPECT_THROW(astra_time_ns(system_of(AstraTopology::Ring, 4), CollectiveKind::Broadcast, 1), ConfigError);
  EXPECT_THROW(astra_time_ns(system_of(AstraTopology::Ring, 4), CollectiveKind::AllReduce, -1), ConfigError);
  EXPECT_THROW(
      astra_time_ns(system_of(AstraTopology::Ring, 6, AstraAlgorithm::HalvingDoubling), CollectiveKind::AllReduce, 1),
      ConfigError);
  EXPECT_THROW(astra_time_ns(system_of(AstraTopology::Ring, 4, AstraAlgorithm::Direct), CollectiveKind::AllGather, 1),
               ConfigError);
}

}  // namespace

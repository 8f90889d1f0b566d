#include "pricing/overlap.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace {

using namespace dts;

double sum(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }

TEST(Overlap, BesideAKernel) {
  EXPECT_EQ(beside_s(10, 4, 0), 10);
  EXPECT_EQ(beside_s(4, 10, 0), 10);
  EXPECT_EQ(beside_s(10, 4, 0.25), 11);  // for 4 s the kernel advances at 3/4 of its rate
  EXPECT_EQ(beside_s(7, 8, 0.25), 9);    // 6 of 7 done when the transfer ends, and 1 more
  EXPECT_EQ(beside_s(5, 8, 0.25), 8);
  EXPECT_EQ(beside_s(5, 8, 7), 13);  // a transfer cannot hold more than the whole device
  EXPECT_EQ(beside_s(5, 0, 0.5), 5);
}

TEST(Overlap, ChunksOfAMatmul) {
  EXPECT_EQ(ring_exchange_s(3, 2, 0, 4), 12);  // hidden: four chunks
  EXPECT_EQ(ring_exchange_s(2, 3, 0, 4), 11);  // the local chunk, then three transfers
  EXPECT_EQ(pipelined_s(3, 2, 0, 4), 14);      // the last transfer has nothing beside it
  EXPECT_EQ(pipelined_s(2, 3, 0, 4), 14);
}

TEST(Overlap, RingForward) {
  EXPECT_EQ(ring_forward_s({2, 4, 4, 4}, {3, 3, 3}, 0), 15);  // waits once, 1 s: the first kernel is shorter
  EXPECT_EQ(ring_forward_s({4, 4, 4, 4}, {4, 4, 4}, 0), 16);
  EXPECT_EQ(ring_forward_s({1, 1, 1, 1}, {5, 5, 5}, 0), 16);  // three transfers and the last kernel
  EXPECT_EQ(ring_forward_s({4, 4}, {2}, 0.5), 9);
  EXPECT_EQ(ring_forward_s({4}, {}, 0.5), 4);
}

TEST(Overlap, RingBackwardWaitsInEveryStep) { EXPECT_EQ(ring_backward_s({5, 10, 10}, {6, 12, 6}, 0), 28); }

TEST(Overlap, NeverBetterThanTheLongerNorWorseThanTheSum) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> seconds(0, 10), share(0, 1);
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<double> kernels(static_cast<std::size_t>(1 + trial % 7)), transfers(kernels.size() - 1);
    for (double& k : kernels) k = seconds(random);
    for (double& t : transfers) t = seconds(random);
    const double s = share(random), total = ring_forward_s(kernels, transfers, s);
    EXPECT_GE(total, std::max(sum(kernels), sum(transfers)) - 1e-9);
    EXPECT_LE(total, sum(kernels) + sum(transfers) + 1e-9);
    transfers.push_back(seconds(random));
    const double back = ring_backward_s(kernels, transfers, s);
    EXPECT_GE(back, std::max(sum(kernels), sum(transfers)) - 1e-9);
    EXPECT_LE(back, sum(kernels) + sum(transfers) + 1e-9);
  }
}

TEST(Overlap, EqualStepsExposeWhatIsLongerThanAStep) {
  for (double transfer : {1.0, 3.0, 8.0}) {
    const std::vector<double> kernels(6, 3), transfers(5, transfer);
    EXPECT_DOUBLE_EQ(ring_forward_s(kernels, transfers, 0) - 18, 5 * std::max(0.0, transfer - 3));
  }
}

}  // namespace

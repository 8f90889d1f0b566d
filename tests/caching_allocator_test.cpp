#include "memory/caching_allocator.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "error.hpp"
#include "units.hpp"

namespace {

using namespace dts;

TEST(CachingAllocator, RoundsToSegmentsOfItsPools) {
  CachingAllocator a({});
  a.allocate(1, 100);  // small pool: a 2 MiB segment
  EXPECT_EQ(a.allocated_bytes(), 512);
  EXPECT_EQ(a.reserved_bytes(), 2 * kMiB);
  a.allocate(2, 3 * kMiB);  // up to 10 MiB: a 20 MiB segment
  EXPECT_EQ(a.reserved_bytes(), 22 * kMiB);
  a.allocate(3, 16 * kMiB);  // the rest of that segment is 17 MiB
  EXPECT_EQ(a.reserved_bytes(), 22 * kMiB);
  a.allocate(4, 33 * kMiB);  // a segment of its own, in whole 2 MiB
  EXPECT_EQ(a.reserved_bytes(), 56 * kMiB);
}

TEST(CachingAllocator, FreedNeighboursJoinButSegmentsDoNot) {
  CachingAllocator a({});
  for (int id : {1, 2, 3, 4}) a.allocate(id, 5 * kMiB);  // one 20 MiB segment
  EXPECT_EQ(a.reserved_bytes(), 20 * kMiB);
  for (int id : {1, 3, 2, 4}) a.free(id);
  a.allocate(5, 20 * kMiB);  // all four as one
  EXPECT_EQ(a.reserved_bytes(), 20 * kMiB);
  a.free(5);
  a.allocate(6, 20 * kMiB);
  a.allocate(7, 20 * kMiB);
  a.free(6), a.free(7);
  a.allocate(8, 40 * kMiB);  // two segments of 20 do not serve 40
  EXPECT_EQ(a.reserved_bytes(), 80 * kMiB);
}

TEST(CachingAllocator, AWholeBlockIsUsedWhereLittleWouldRemain) {
  CachingAllocator a({});
  a.allocate(1, 20 * kMiB);
  a.free(1);
  a.allocate(2, 19.5 * kMiB);  // half a MiB is not split off in the large pool
  EXPECT_EQ(a.allocated_bytes(), 20 * kMiB);
}

TEST(CachingAllocator, GivesCachedSegmentsBackBeforeItFails) {
  CachingAllocator a({false, 100 * kMiB});
  EXPECT_TRUE(a.allocate(1, 60 * kMiB));
  a.free(1);
  EXPECT_TRUE(a.allocate(2, 80 * kMiB));
  EXPECT_EQ(a.retries(), 1);
  EXPECT_EQ(a.reserved_bytes(), 80 * kMiB);
  EXPECT_FALSE(a.allocate(3, 30 * kMiB));
  EXPECT_EQ(a.allocated_bytes(), 80 * kMiB);  // nothing happened
  EXPECT_EQ(a.peak_reserved_bytes(), 80 * kMiB);
}

TEST(CachingAllocator, ExpandableSegmentsGrowAndMerge) {
  CachingAllocator a({true, 0});
  a.allocate(1, 40 * kMiB);
  a.allocate(2, 40 * kMiB);
  a.free(1), a.free(2);
  a.allocate(3, 80 * kMiB);  // one segment: they join
  EXPECT_EQ(a.reserved_bytes(), 80 * kMiB);
}

TEST(CachingAllocator, WhatOtherStreamsReadComesBackLater) {
  CachingAllocator a({});
  a.allocate(1, 20 * kMiB);
  a.free(1, 10);
  EXPECT_EQ(a.allocated_bytes(), 0);
  a.allocate(2, 20 * kMiB);  // finds nothing yet
  EXPECT_EQ(a.reserved_bytes(), 40 * kMiB);
  a.advance(9);
  a.allocate(3, 20 * kMiB);
  EXPECT_EQ(a.reserved_bytes(), 60 * kMiB);
  a.advance(10);
  a.allocate(4, 20 * kMiB);
  EXPECT_EQ(a.reserved_bytes(), 60 * kMiB);
}

TEST(CachingAllocator, WaitsForOtherStreamsBeforeItFails) {
  CachingAllocator a({false, 100 * kMiB});
  EXPECT_TRUE(a.allocate(1, 60 * kMiB));
  a.free(1, 10);
  EXPECT_TRUE(a.allocate(2, 80 * kMiB));
  EXPECT_EQ(a.reserved_bytes(), 80 * kMiB);
}

TEST(CachingAllocator, RefusesWhatIsNotLive) {
  CachingAllocator a({});
  EXPECT_THROW(a.free(1), ConfigError);
  a.allocate(1, 10);
  EXPECT_THROW(a.allocate(1, 10), ConfigError);
  EXPECT_THROW(CachingAllocator({false, -1}), ConfigError);
}

// Whatever the order: reserved covers allocated, allocated covers what was asked, and all comes back.
TEST(CachingAllocator, KeepsItsBooks) {
  for (bool expandable : {false, true}) {
    std::mt19937 random(7);
    CachingAllocator a({expandable, 0});
    std::map<int, double> live;
    double asked = 0;
    for (int step = 0; step < 4000; ++step) {
      if (live.empty() || random() % 5 < 3) {
        const double bytes = static_cast<double>(1 + random() % (1u << (10 + random() % 16)));
        ASSERT_TRUE(a.allocate(step, bytes));
        live[step] = bytes;
        asked += bytes;
      } else {
        auto it = std::next(live.begin(), static_cast<long>(random() % live.size()));
        a.free(it->first);
        asked -= it->second;
        live.erase(it);
      }
      ASSERT_GE(a.allocated_bytes(), asked);
      ASSERT_GE(a.reserved_bytes(), a.allocated_bytes());
      ASSERT_GE(a.peak_reserved_bytes(), a.reserved_bytes());
    }
    for (const auto& [id, bytes] : live) a.free(id);
    EXPECT_EQ(a.allocated_bytes(), 0);
    const double reserved = a.reserved_bytes();
    if (!expandable) continue;
    EXPECT_TRUE(a.allocate(-1, reserved / 4));  // from what is there
    EXPECT_EQ(a.reserved_bytes(), reserved);
  }
}

}  // namespace

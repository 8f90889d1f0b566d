#include "memory_model.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "error.hpp"

namespace {

using namespace dts;

Tiers small_tiers() {  // 100 B at 50 B/s, 200 B at 10 B/s, 400 B at 2 B/s, 800 B at 1 B/s
  return {{{100, 50, 0.5}, {200, 10, 1}, {400, 2, 2}, {800, 1, 4}}};
}

TEST(Tier, TransferTakesLatenciesOfThePathAndItsSlowestBandwidth) {
  const Tiers tiers = small_tiers();
  EXPECT_DOUBLE_EQ(transfer_seconds(tiers, 20, MemoryTier::HBM, MemoryTier::CPU), 0.5 + 1 + 20.0 / 10);
  EXPECT_DOUBLE_EQ(transfer_seconds(tiers, 20, MemoryTier::HBM, MemoryTier::DISK), 0.5 + 1 + 2 + 20.0 / 2);
  EXPECT_DOUBLE_EQ(transfer_seconds(tiers, 20, MemoryTier::DISK, MemoryTier::REMOTE), 2 + 1 + 4 + 20.0 / 1);
  EXPECT_DOUBLE_EQ(transfer_seconds(tiers, 20, MemoryTier::REMOTE, MemoryTier::CPU), 4 + 1 + 20.0 / 1);
  EXPECT_EQ(transfer_seconds(tiers, 20, MemoryTier::DISK, MemoryTier::DISK), 0);
}

TEST(Tier, DefaultsAreLegal) {
  Checker check;
  check_tiers(default_tiers(), check);
  EXPECT_TRUE(check.ok());
  EXPECT_EQ(default_tiers()[index_of(MemoryTier::HBM)].capacity_bytes, 80e9);
}

TEST(MemoryModel, CountsExactlyPerPoolAndCategory) {
  MemoryModel model(4, 2, small_tiers());
  const auto weights = model.allocate(1, 60, MemoryTier::HBM, "w", "weights");
  const auto moments = model.allocate(1, 30, MemoryTier::HBM, "m", "optimizer");
  EXPECT_EQ(model.usage(1, MemoryTier::HBM).used_bytes, 90);
  EXPECT_EQ(model.usage(0, MemoryTier::HBM).used_bytes, 0);
  model.free(weights);
  const PoolUsage& pool = model.usage(1, MemoryTier::HBM);
  EXPECT_EQ(pool.used_bytes, 30);
  EXPECT_EQ(pool.free_bytes(), 70);
  EXPECT_EQ(pool.peak_bytes, 90);
  EXPECT_EQ(pool.by_category, (std::map<std::string, std::int64_t>{{"optimizer", 30}}));
  EXPECT_EQ(pool.peak_by_category, (std::map<std::string, std::int64_t>{{"optimizer", 30}, {"weights", 60}}));
  model.reset_peaks();
  EXPECT_EQ(pool.peak_bytes, 30);
  EXPECT_EQ(pool.peak_by_category, pool.by_category);
  ASSERT_EQ(model.allocations().size(), 1u);
  EXPECT_EQ(model.allocations().front().handle, moments);
}

TEST(MemoryModel, HostAndDiskBelongToTheNodeAndRemoteToAll) {
  MemoryModel model(5, 2, small_tiers());  // nodes {0, 1}, {2, 3}, {4}
  model.allocate(0, 10, MemoryTier::CPU, "a", "c");
  model.allocate(2, 20, MemoryTier::DISK, "b", "c");
  model.allocate(4, 30, MemoryTier::REMOTE, "d", "c");
  EXPECT_EQ(model.usage(1, MemoryTier::CPU).used_bytes, 10);
  EXPECT_EQ(model.usage(2, MemoryTier::CPU).used_bytes, 0);
  EXPECT_EQ(model.usage(3, MemoryTier::DISK).used_bytes, 20);
  EXPECT_EQ(model.usage(4, MemoryTier::DISK).used_bytes, 0);
  EXPECT_EQ(model.usage(0, MemoryTier::REMOTE).used_bytes, 30);
  EXPECT_EQ(model.usage(4, MemoryTier::CPU).used_bytes, 0);
}

TEST(MemoryModel, OutOfMemoryNamesWhatWasAskedAndWhatHelps) {
  MemoryModel model(2, 2, small_tiers());
  model.allocate(0, 80, MemoryTier::HBM, "w", "weights");
  try {
    model.allocate(0, 30, MemoryTier::HBM, "act", "activations");
    FAIL() << "did not throw";
  } catch (const InfeasibleError& e) {
    const Violation& v = e.violations().at(0);
    EXPECT_EQ(v.where, "act (activations) on device 0, tier HBM");
    EXPECT_EQ(v.got, "3e-08 GB asked");
    EXPECT_EQ(v.expected, "at most the 2e-08 GB free of 1e-07 GB");
    EXPECT_EQ(v.fix,
              "largest holding: weights (8e-08 GB); CPU has 2e-07 GB free; DISK has 4e-07 GB free; REMOTE has "
              "8e-07 GB free");
  }
  EXPECT_EQ(model.usage(0, MemoryTier::HBM).used_bytes, 80);  // nothing changed
  EXPECT_NO_THROW(model.allocate(0, 20, MemoryTier::HBM, "rest", "other"));
}

TEST(MemoryModel, TransferMovesOrChangesNothing) {
  MemoryModel model(1, 1, small_tiers());
  const auto handle = model.allocate(0, 50, MemoryTier::HBM, "w", "weights");
  EXPECT_DOUBLE_EQ(model.transfer(handle, MemoryTier::CPU), 0.5 + 1 + 5);
  EXPECT_EQ(model.usage(0, MemoryTier::HBM).used_bytes, 0);
  EXPECT_EQ(model.usage(0, MemoryTier::CPU).used_bytes, 50);
  EXPECT_EQ(model.allocation(handle).tier, MemoryTier::CPU);
  EXPECT_EQ(model.transfer(handle, MemoryTier::CPU), 0);
  model.allocate(0, 70, MemoryTier::HBM, "x", "other");
  EXPECT_THROW(model.transfer(handle, MemoryTier::HBM), InfeasibleError);
  EXPECT_EQ(model.allocation(handle).tier, MemoryTier::CPU);
  EXPECT_EQ(model.usage(0, MemoryTier::CPU).used_bytes, 50);
}

TEST(MemoryModel, DoubleFreeAndUnknownHandlesAreToldApart) {
  MemoryModel model(1);
  const auto handle = model.allocate(0, 5, MemoryTier::HBM, "w", "weights");
  model.free(handle);
  const auto fix_of = [&](std::int64_t h) {
    try {
      model.free(h);
    } catch (const ConfigError& e) {
      return e.violations().at(0).fix;
    }
    return std::string("no error");
  };
  EXPECT_EQ(fix_of(handle), "it was freed before");
  EXPECT_EQ(fix_of(99), "no allocation ever returned it");
  EXPECT_EQ(fix_of(-1), "no allocation ever returned it");
  EXPECT_GT(model.allocate(0, 5, MemoryTier::HBM, "w", "weights"), handle);  // handles are never used again
}

TEST(MemoryModel, IllegalInputIsListed) {
  Tiers tiers = small_tiers();
  tiers[0].capacity_bytes = std::numeric_limits<double>::quiet_NaN();
  tiers[1].bandwidth_Bps = 0;
  tiers[2].latency_s = -1;
  tiers[3].capacity_bytes = 1e30;
  try {
    MemoryModel model(0, 0, tiers);
    FAIL() << "did not throw";
  } catch (const ConfigError& e) {
    EXPECT_EQ(e.violations().size(), 6u);
  }
  MemoryModel model(1);
  EXPECT_THROW(model.allocate(1, 5, MemoryTier::HBM, "w", "c"), ConfigError);
  EXPECT_THROW(model.allocate(0, 0, MemoryTier::HBM, "", ""), ConfigError);
  EXPECT_THROW(model.usage(-1, MemoryTier::CPU), ConfigError);
  EXPECT_THROW(model.transfer_time(-1, MemoryTier::HBM, MemoryTier::CPU), ConfigError);
}

TEST(MemoryModel, RandomTrafficConservesBytes) {
  MemoryModel model(3, 2, small_tiers());
  std::mt19937 random(7);
  const auto below = [&](std::uint32_t n) { return static_cast<int>(random() % n); };
  const auto tier = [&] { return static_cast<MemoryTier>(below(4)); };
  for (int step = 0; step < 2000; ++step) {
    const auto live = model.allocations();
    try {
      if (live.empty() || below(3) == 0) {
        model.allocate(below(3), 1 + below(60), tier(), "x", below(2) == 0 ? "a" : "b");
      } else {
        const auto& some = live[static_cast<std::size_t>(below(static_cast<std::uint32_t>(live.size())))];
        if (below(2) == 0) {
          model.free(some.handle);
        } else {
          model.transfer(some.handle, tier());
        }
      }
    } catch (const InfeasibleError&) {
    }
    std::int64_t held = 0, pooled = model.usage(0, MemoryTier::REMOTE).used_bytes;
    for (const Allocation& a : model.allocations()) held += a.bytes;
    for (int device = 0; device < 3; ++device) pooled += model.usage(device, MemoryTier::HBM).used_bytes;
    for (int node = 0; node < 2; ++node) {
      pooled += model.usage(2 * node, MemoryTier::CPU).used_bytes + model.usage(2 * node, MemoryTier::DISK).used_bytes;
    }
    ASSERT_EQ(held, pooled);
    const PoolUsage& pool = model.usage(0, MemoryTier::HBM);
    ASSERT_LE(pool.used_bytes, pool.peak_bytes);
    ASSERT_LE(pool.peak_bytes, pool.capacity_bytes);
  }
}

TEST(MemoryModel, RestoredLedgerHoldsHandlesAndPeaks) {
  MemoryModel model(3, 2);
  const std::int64_t gone = model.allocate(0, 500, MemoryTier::HBM, "a", "x");
  const std::int64_t kept = model.allocate(2, 300, MemoryTier::CPU, "b", "y");
  model.free(gone);
  MemoryModel again =
      MemoryModel::restored(3, 2, model.tiers(), model.next_handle(), model.allocations(), model.peaks());
  EXPECT_EQ(again.usage(0, MemoryTier::HBM).used_bytes, 0);
  EXPECT_EQ(again.usage(0, MemoryTier::HBM).peak_bytes, 500);
  EXPECT_EQ(again.usage(2, MemoryTier::CPU).used_bytes, 300);
  EXPECT_EQ(again.allocation(kept).name, "b");
  EXPECT_EQ(again.allocate(0, 1, MemoryTier::HBM, "c", "x"), 3);
  // A peak below what is held; a handle that was never given out.
  EXPECT_THROW(MemoryModel::restored(3, 2, model.tiers(), 3, model.allocations(), {{4, 299, {}}}), ConfigError);
  EXPECT_THROW(MemoryModel::restored(3, 2, model.tiers(), 2, model.allocations(), {}), ConfigError);
  EXPECT_THROW(MemoryModel::restored(3, 2, model.tiers(), 3, model.allocations(), {{99, 300, {}}}), ConfigError);
}

}  // namespace

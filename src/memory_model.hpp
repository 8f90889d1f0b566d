// The bytes that devices and their memory tiers hold: an exact ledger of named allocations with capacities, peaks and
// moves between tiers. It answers "what is where, does it fit, what does moving it cost"; how many bytes a training
// plan needs is memory/plan.hpp (any model) and the ledger of ops (memory/saved_bytes.hpp and its neighbours).
// Pools: HBM per device, CPU and DISK per node, REMOTE one. Fragmentation is left out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "memory/tier.hpp"

namespace dts {

struct Allocation {
  std::int64_t handle = 0;
  int device = 0;
  MemoryTier tier = MemoryTier::HBM;
  std::int64_t bytes = 0;
  std::string name, category;
};

struct PoolUsage {
  std::int64_t capacity_bytes = 0, used_bytes = 0, peak_bytes = 0;
  std::map<std::string, std::int64_t> by_category;       // now; categories that hold nothing are absent
  std::map<std::string, std::int64_t> peak_by_category;  // at the moment of the peak
  std::int64_t free_bytes() const noexcept { return capacity_bytes - used_bytes; }
};

// Peaks of one pool, by its place in the order of pools.
struct PoolPeak {
  std::size_t pool = 0;
  std::int64_t bytes = 0;
  std::map<std::string, std::int64_t> by_category;
};

class MemoryModel {
 public:
  // Throws ConfigError listing every illegal value. The last node may be partly filled.
  explicit MemoryModel(int num_devices, int devices_per_node = 8, const Tiers& tiers = default_tiers());

  // Returns a handle that is never used again. Throws InfeasibleError when the pool has too little room: which device
  // and tier, asked, free, and what would help; ConfigError for an illegal request. Neither changes any state.
  std::int64_t allocate(int device, std::int64_t bytes, MemoryTier tier, const std::string& name,
                        const std::string& category);
  void free(std::int64_t handle);  // throws ConfigError for an unknown handle or a second free
  // Moves an allocation and returns the seconds it takes. Source and destination are both held while it moves.
  double transfer(std::int64_t handle, MemoryTier to);
  double transfer_time(double bytes, MemoryTier from, MemoryTier to) const;  // throws ConfigError for bytes < 0

  const Allocation& allocation(std::int64_t handle) const;
  std::vector<Allocation> allocations() const;  // live, in handle order
  const PoolUsage& usage(int device, MemoryTier tier) const;
  void reset_peaks();  // peaks restart at what is held now

  // What a ledger is made of beside its sizes and tiers, and the ledger made of it: handles and peaks stay. Throws
  // ConfigError where the parts contradict each other.
  std::int64_t next_handle() const noexcept { return next_handle_; }
  std::vector<PoolPeak> peaks() const;  // of the pools that ever held anything
  static MemoryModel restored(int num_devices, int devices_per_node, const Tiers& tiers, std::int64_t next_handle,
                              const std::vector<Allocation>& live, const std::vector<PoolPeak>& peaks);

  int num_devices() const noexcept { return num_devices_; }
  int devices_per_node() const noexcept { return devices_per_node_; }
  const Tiers& tiers() const noexcept { return tiers_; }

 private:
  std::size_t pool_index(int device, MemoryTier tier) const;
  void check_device(int device) const;
  void require_room(const Allocation& wanted) const;
  void add(PoolUsage& pool, const std::string& category, std::int64_t bytes);
  void remove(PoolUsage& pool, const std::string& category, std::int64_t bytes);

  int num_devices_, devices_per_node_;
  Tiers tiers_;
  std::vector<PoolUsage> pools_;
  std::map<std::int64_t, Allocation> live_;
  std::int64_t next_handle_ = 1;
};

}  // namespace dts

#include "memory_model.hpp"

#include <algorithm>

#include "error.hpp"

namespace dts {

namespace {

constexpr int kMaxDevices = 1 << 20;  // every device has a pool of its own

std::string gigabytes(std::int64_t bytes) { return number_text(static_cast<double>(bytes) / 1e9) + " GB"; }

std::string largest_category(const PoolUsage& pool) {
  const auto largest = std::max_element(pool.by_category.begin(), pool.by_category.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
  return largest == pool.by_category.end() ? "" : largest->first + " (" + gigabytes(largest->second) + ")";
}

[[noreturn]] void throw_unknown(std::int64_t handle, std::int64_t next) {
  const bool freed = handle > 0 && handle < next;
  throw ConfigError({{"handle", std::to_string(handle), "the handle of a live allocation",
                      freed ? "it was freed before" : "no allocation ever returned it"}});
}

}  // namespace

MemoryModel::MemoryModel(int num_devices, int devices_per_node, const Tiers& tiers)
    : num_devices_(num_devices), devices_per_node_(devices_per_node), tiers_(tiers) {
  Checker check;
  check.require(num_devices >= 1 && num_devices <= kMaxDevices, "num_devices", std::to_string(num_devices),
                "1 to " + std::to_string(kMaxDevices));
  check.at_least("devices_per_node", devices_per_node, 1);
  check_tiers(tiers, check);
  check.throw_if_any();
  pools_.resize(pool_index(num_devices - 1, MemoryTier::REMOTE) + 1);
  const auto capacity = [&](MemoryTier t) { return static_cast<std::int64_t>(tiers[index_of(t)].capacity_bytes); };
  for (int device = 0; device < num_devices; ++device) {
    for (MemoryTier tier : {MemoryTier::HBM, MemoryTier::CPU, MemoryTier::DISK, MemoryTier::REMOTE}) {
      pools_[pool_index(device, tier)].capacity_bytes = capacity(tier);
    }
  }
}

// Order of pools: one HBM per device, one CPU per node, one DISK per node, REMOTE.
std::size_t MemoryModel::pool_index(int device, MemoryTier tier) const {
  const auto devices = static_cast<std::size_t>(num_devices_), at = static_cast<std::size_t>(device);
  const auto per_node = static_cast<std::size_t>(devices_per_node_);
  const std::size_t nodes = (devices - 1) / per_node + 1;
  switch (tier) {
    case MemoryTier::HBM: return at;
    case MemoryTier::CPU: return devices + at / per_node;
    case MemoryTier::DISK: return devices + nodes + at / per_node;
    default: return devices + 2 * nodes;
  }
}

void MemoryModel::check_device(int device) const {
  Checker check;
  check.require(device >= 0 && device < num_devices_, "device", std::to_string(device),
                "0 to " + std::to_string(num_devices_ - 1));
  check.throw_if_any();
}

void MemoryModel::require_room(const Allocation& wanted) const {
  const PoolUsage& pool = usage(wanted.device, wanted.tier);
  if (wanted.bytes <= pool.free_bytes()) return;
  std::string fix;
  const std::string largest = largest_category(pool);
  if (!largest.empty()) fix = "largest holding: " + largest;
  for (MemoryTier other : {MemoryTier::HBM, MemoryTier::CPU, MemoryTier::DISK, MemoryTier::REMOTE}) {
    const std::int64_t room = usage(wanted.device, other).free_bytes();
    if (other == wanted.tier || room < wanted.bytes) continue;
    fix += (fix.empty() ? "" : "; ") + std::string(name_of(other)) + " has " + gigabytes(room) + " free";
  }
  throw InfeasibleError(
      {{wanted.name + " (" + wanted.category + ") on device " + std::to_string(wanted.device) + ", tier " +
            std::string(name_of(wanted.tier)),
        gigabytes(wanted.bytes) + " asked",
        "at most the " + gigabytes(pool.free_bytes()) + " free of " + gigabytes(pool.capacity_bytes), fix}});
}

void MemoryModel::add(PoolUsage& pool, const std::string& category, std::int64_t bytes) {
  pool.used_bytes += bytes;
  pool.by_category[category] += bytes;
  if (pool.used_bytes > pool.peak_bytes) {
    pool.peak_bytes = pool.used_bytes;
    pool.peak_by_category = pool.by_category;
  }
}

void MemoryModel::remove(PoolUsage& pool, const std::string& category, std::int64_t bytes) {
  pool.used_bytes -= bytes;
  const auto held = pool.by_category.find(category);
  held->second -= bytes;
  if (held->second == 0) pool.by_category.erase(held);
}

std::int64_t MemoryModel::allocate(int device, std::int64_t bytes, MemoryTier tier, const std::string& name,
                                   const std::string& category) {
  Checker check;
  check.at_least("bytes", bytes, 1);
  check.require(!name.empty(), "name", "an empty name", "what the bytes are, e.g. \"weights\"");
  check.require(!category.empty(), "category", "an empty category", "what to sum them under");
  check.throw_if_any();
  check_device(device);
  const Allocation wanted{next_handle_, device, tier, bytes, name, category};
  require_room(wanted);
  add(pools_[pool_index(device, tier)], category, bytes);
  live_.emplace(next_handle_, wanted);
  return next_handle_++;
}

void MemoryModel::free(std::int64_t handle) {
  const Allocation& a = allocation(handle);
  remove(pools_[pool_index(a.device, a.tier)], a.category, a.bytes);
  live_.erase(handle);
}

double MemoryModel::transfer(std::int64_t handle, MemoryTier to) {
  allocation(handle);
  Allocation& a = live_.at(handle);
  if (to == a.tier) return 0;
  Allocation moved = a;
  moved.tier = to;
  require_room(moved);
  const double seconds = transfer_time(static_cast<double>(a.bytes), a.tier, to);
  add(pools_[pool_index(a.device, to)], a.category, a.bytes);
  remove(pools_[pool_index(a.device, a.tier)], a.category, a.bytes);
  a.tier = to;
  return seconds;
}

double MemoryModel::transfer_time(double bytes, MemoryTier from, MemoryTier to) const {
  Checker check;
  check.non_negative("bytes", bytes);
  check.throw_if_any();
  return transfer_seconds(tiers_, bytes, from, to);
}

const Allocation& MemoryModel::allocation(std::int64_t handle) const {
  const auto found = live_.find(handle);
  if (found == live_.end()) throw_unknown(handle, next_handle_);
  return found->second;
}

std::vector<Allocation> MemoryModel::allocations() const {
  std::vector<Allocation> list;
  list.reserve(live_.size());
  for (const auto& [handle, allocation] : live_) list.push_back(allocation);
  return list;
}

const PoolUsage& MemoryModel::usage(int device, MemoryTier tier) const {
  check_device(device);
  return pools_[pool_index(device, tier)];
}

std::vector<PoolPeak> MemoryModel::peaks() const {
  std::vector<PoolPeak> list;
  for (std::size_t i = 0; i < pools_.size(); ++i)
    if (pools_[i].peak_bytes > 0) list.push_back({i, pools_[i].peak_bytes, pools_[i].peak_by_category});
  return list;
}

MemoryModel MemoryModel::restored(int num_devices, int devices_per_node, const Tiers& tiers, std::int64_t next_handle,
                                  const std::vector<Allocation>& live, const std::vector<PoolPeak>& peaks) {
  MemoryModel model(num_devices, devices_per_node, tiers);
  Checker check;
  for (const Allocation& a : live) {
    check.require(a.handle >= 1 && a.handle < next_handle, "handle", std::to_string(a.handle),
                  "1 to " + std::to_string(next_handle - 1));
    check.throw_if_any();
    model.next_handle_ = a.handle;
    model.allocate(a.device, a.bytes, a.tier, a.name, a.category);
  }
  for (const PoolPeak& peak : peaks) {
    check.require(peak.pool < model.pools_.size() && peak.bytes >= model.pools_[peak.pool].used_bytes, "peak",
                  std::to_string(peak.bytes) + " bytes of pool " + std::to_string(peak.pool),
                  "at least what the pool holds");
    check.throw_if_any();
    PoolUsage& pool = model.pools_[peak.pool];
    pool.peak_bytes = peak.bytes;
    pool.peak_by_category = peak.by_category;
  }
  model.next_handle_ = next_handle;
  return model;
}

void MemoryModel::reset_peaks() {
  for (PoolUsage& pool : pools_) {
    pool.peak_bytes = pool.used_bytes;
    pool.peak_by_category = pool.by_category;
  }
}

}  // namespace dts

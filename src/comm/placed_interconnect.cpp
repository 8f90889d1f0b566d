#include <algorithm>
#include <string>
#include <utility>

#include "comm/interconnect.hpp"
#include "error.hpp"

namespace dts {

namespace {

class PlacedInterconnect final : public Interconnect {
 public:
  PlacedInterconnect(const Interconnect& network, std::vector<int> device_of)
      : network_(network), device_of_(std::move(device_of)) {
    Checker check;
    const int devices = network_.device_count();
    check.require(static_cast<int>(device_of_.size()) == devices, "placement",
                  std::to_string(device_of_.size()) + " devices", "one per rank (" + std::to_string(devices) + ")");
    std::vector<bool> taken(static_cast<std::size_t>(devices), false);
    for (std::size_t rank = 0; rank < device_of_.size() && check.violations().size() < 20; ++rank) {
      const std::string where = "placement[" + std::to_string(rank) + "]", got = std::to_string(device_of_[rank]);
      const bool known = device_of_[rank] >= 0 && device_of_[rank] < devices;
      if (!check.require(known, where, got, "a device from 0 to " + std::to_string(devices - 1))) continue;
      check.require(!taken[static_cast<std::size_t>(device_of_[rank])], where, got, "each device once");
      taken[static_cast<std::size_t>(device_of_[rank])] = true;
    }
    check.throw_if_any();
  }

  int device_count() const override { return network_.device_count(); }
  bool uniform() const override { return network_.uniform(); }
  int node_kinds() const override { return network_.node_kinds(); }
  int node_kind(int rank) const override { return network_.node_kind(device_of(rank)); }
  const ClusterSpec* cluster() const override { return network_.cluster(); }
  RankGroup group(std::vector<int> ranks) const override {
    for (int& rank : ranks) rank = device_of(rank);
    return network_.group(std::move(ranks));
  }
  CollectiveCost cost(CollectiveKind kind, double bytes, const RankGroup& group) const override {
    return network_.cost(kind, bytes, group);
  }
  CollectiveCost exchange(double bytes, const TokenCopies& copies, const RankGroup& group) const override {
    return network_.exchange(bytes, copies, group);
  }
  void add_traffic(CollectiveKind kind, double bytes, double times, const RankGroup& group,
                   std::vector<double>& matrix) const override {
    network_.add_traffic(kind, bytes, times, group, matrix);
  }
  void add_exchange_traffic(double bytes, const TokenCopies& copies, double times, const RankGroup& group,
                            std::vector<double>& matrix) const override {
    network_.add_exchange_traffic(bytes, copies, times, group, matrix);
  }

 private:
  int device_of(int rank) const { return device_of_[static_cast<std::size_t>(rank)]; }

  const Interconnect& network_;
  std::vector<int> device_of_;
};

}  // namespace

std::unique_ptr<Interconnect> place_on(const Interconnect& network, std::vector<int> device_of) {
  return std::make_unique<PlacedInterconnect>(network, std::move(device_of));
}

}  // namespace dts

// Times of matrix products, kept: layouts of one job share most of their shapes, whatever they recompute or shard over
// data parallelism, and a block asks for each of its products more than once.
#pragma once

#include <cstdint>
#include <vector>

#include "compute/gemm.hpp"
#include "hash_index.hpp"

namespace dts {

class ProductTimes {
 public:
  struct Product {  // the arguments of gemm_time_s
    const DeviceSpec* device;
    DType type;
    GemmPass pass;
    GemmShape shape;
    double output_bytes;

    bool operator==(const Product& o) const noexcept {
      return device == o.device && type == o.type && pass == o.pass && shape.m == o.shape.m && shape.n == o.shape.n &&
             shape.k == o.shape.k && shape.batch == o.shape.batch && output_bytes == o.output_bytes;
    }
  };

  double seconds(const Product& p) {
    const std::uint64_t hash = hash_of(p);
    const std::uint32_t known = places_.find(hash, [&](std::uint32_t place) { return products_[place] == p; });
    if (known != HashIndex::kNone) return seconds_[known];
    places_.add(hash, static_cast<std::uint32_t>(products_.size()));
    products_.push_back(p);
    seconds_.push_back(gemm_time_s(*p.device, p.type, p.shape, p.pass, p.output_bytes));
    return seconds_.back();
  }

 private:
  static std::uint64_t hash_of(const Product& p) noexcept {
    std::uint64_t hash = static_cast<std::uint64_t>(p.type) * 4 + static_cast<std::uint64_t>(p.pass);
    for (double value : {p.shape.m, p.shape.n, p.shape.k, p.shape.batch, p.output_bytes})
      hash = mixed_hash(hash, value);
    return hash;
  }

  HashIndex places_;
  std::vector<Product> products_;
  std::vector<double> seconds_;
};

}  // namespace dts

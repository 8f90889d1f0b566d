#include "pricing/lowered_block.hpp"

#include "pricing/recompute.hpp"

namespace dts {

namespace {

bool is_narrow(const BlockContext& c, BlockRole role) {
  return bytes_of(c.precision) < 2 && role != BlockRole::Head && role != BlockRole::Encoder;
}

LocalSizes sizes_of(const BlockContext& c, bool narrow) {
  LocalSizes sizes = c.sizes;
  if (narrow && c.profile.cast_before_gather) sizes.cast_bytes = operand_bytes(c.precision);
  return sizes;
}

Recompute recompute_of(const BlockContext& c, BlockRole role) {
  return role == BlockRole::Layer || role == BlockRole::Encoder ? c.recompute : Recompute::None;
}

}  // namespace

LoweredBlock::LoweredBlock(const Block& block, const BlockContext& c, BlockRole role)
    : narrow(is_narrow(c, role)), sizes(sizes_of(c, narrow)),
      timer{c.device,
            c.profile,
            sizes,
            !narrow && bytes_of(c.precision) < 2 ? DType::BF16 : c.precision,
            quantise_recipe(c.precision, c.fp8_recipe, c.int8_recipe),
            c.products},
      again(recomputed_shares(block, recompute_of(c, role), c.recompute_modules, c.profile)),
      ops(lower_block(block, sizes)) {}

}  // namespace dts

#include "memory/transformer_layer.hpp"

#include <algorithm>

#include "error.hpp"

namespace dts {

double transformer_layer_bytes(const TransformerShape& shape, Recompute recompute) {
  Checker check;
  check.positive("seq_len", shape.seq_len);
  check.positive("micro_batch", shape.micro_batch);
  check.positive("hidden", shape.hidden);
  check.positive("heads", shape.heads);
  check.at_least("tp", shape.tp, 1);
  const double largest = std::max({shape.seq_len, shape.micro_batch, shape.hidden, shape.heads});
  check.require(!(largest > 1e18), "shape", number_text(largest), "sizes up to 1e+18");  // products stay finite
  check.throw_if_any();
  const double sbh = shape.seq_len * shape.micro_batch * shape.hidden;
  const double region = shape.sequence_parallel ? shape.tp : 1;  // how the parts outside attention and MLP are split
  if (recompute == Recompute::Full) return 2 * sbh / region;
  const double scores = recompute == Recompute::Selective ? 0 : 5 * shape.heads * shape.seq_len / shape.hidden;
  return sbh * (10 / region + (24 + scores) / shape.tp);
}

BlockShares transformer_block_shares(double layers, double seq_len, double hidden, double heads, bool flash_attention) {
  Checker check;
  check.require(layers >= 1, "layers", number_text(layers), "a number >= 1");
  check.throw_if_any();
  TransformerShape shape;
  shape.seq_len = seq_len;
  shape.hidden = hidden;
  shape.heads = heads;
  const double without_scores = transformer_layer_bytes(shape, Recompute::Selective);
  const double all = flash_attention ? without_scores : transformer_layer_bytes(shape, Recompute::None);
  const double attention_flops = seq_len / (6 * hidden);
  BlockShares shares;
  shares.blocks = layers;
  shares.input_share = transformer_layer_bytes(shape, Recompute::Full) / all;
  shares.score_share = 1 - without_scores / all;
  shares.score_flops_share = flash_attention ? 0 : attention_flops / (1 + attention_flops);
  return shares;
}

}  // namespace dts

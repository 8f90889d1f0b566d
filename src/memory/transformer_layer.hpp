// Closed forms for one transformer layer (Korthikanti et al. 2022, arXiv:2205.05198): 16-bit activations, dropout on,
// scores materialised, 4h GELU feed-forward, statistics left out. The per-op ledger (memory/saved_bytes.hpp) gives the
// same layer plus 16 bytes of statistics per token. For other architectures use that ledger.
#pragma once

#include "memory/plan.hpp"

namespace dts {

struct TransformerShape {
  double seq_len = 0, micro_batch = 1, hidden = 0, heads = 0;
  int tp = 1;
  bool sequence_parallel = false;
};

// Saved bytes of one layer on one rank, table 2: s*b*h*(10 + 24/t + 5as/(ht)); sequence parallelism divides all by t;
// selective drops the 5as term; full keeps 2 s*b*h. Throws ConfigError.
double transformer_layer_bytes(const TransformerShape& shape, Recompute recompute);

// Shares of the saved bytes and forward FLOPs of one of `layers` equal layers, for recomputation estimates. With flash
// attention no scores are kept. FLOPs: 24 b s h^2 (1 + s / 6h) per layer, eq. 2 of the paper without logits.
BlockShares transformer_block_shares(double layers, double seq_len, double hidden, double heads, bool flash_attention);

}  // namespace dts

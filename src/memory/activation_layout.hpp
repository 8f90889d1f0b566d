// Where an op's input and output live on one rank: elements per token after sharding. Shared by the saved-tensor
// ledger; see memory/saved_bytes.hpp for the rules.
#pragma once

#include <vector>

#include "memory/saved_bytes.hpp"

namespace dts {

// What one op reads and writes. `producer` is the index of the op whose output it reads, -1 for the block's input.
struct OpLayout {
  int producer = -1;
  double input_elements = 0;   // per token, of the whole storage it reads (a view keeps all of it)
  double output_elements = 0;  // per token
  double row_share = 1;        // rows of this op per token, over the shards of its own statistics
  double gather = 1;           // gathered input elements over stored ones (column matmul under sequence parallelism)
};

std::vector<OpLayout> layouts_of(const std::vector<Op>& ops, const SavedContext& context);

}  // namespace dts

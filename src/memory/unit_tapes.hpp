// Blocks that full recomputation runs again together, from the input of the first (Megatron-LM's uniform method with
// more than one layer): forward keeps that input alone; the backward of the last block rebuilds all of them and runs
// back through them, and with that of the first the input goes. In between nothing changes.
#pragma once

#include <vector>

#include "memory/block_tape.hpp"
#include "workload/model.hpp"

namespace dts {

// One tape per block. `rules` are those of full recomputation; each block has its own context.
std::vector<BlockTape> unit_tapes(const std::vector<const Block*>& blocks, const std::vector<SavedContext>& contexts,
                                  TapeRules rules);

}  // namespace dts

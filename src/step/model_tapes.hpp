// The memory tapes of every block of a model under a strategy: what each allocates and frees, for one micro-batch.
#pragma once

#include <memory>
#include <vector>

#include "memory/block_tape.hpp"
#include "memory/saved_bytes.hpp"
#include "step/priced_model.hpp"

namespace dts {

class ModelTapes {
 public:
  ModelTapes(const Job& job, const PricedModel& priced);
  ModelTapes(const ModelTapes&) = delete;
  ModelTapes& operator=(const ModelTapes&) = delete;

  const SavedContext& layer_context() const noexcept { return context_; }
  // copied: the layers with activations on the host, empty unless they are offloaded.
  const BlockTape *stem = nullptr, *head = nullptr;
  std::vector<const BlockTape*> runs, copied, encoder, prediction;
  std::vector<std::size_t> run_of_layer;

 private:
  SavedContext context_of(const Job& job, const PricedModel& priced, const Block& block) const;
  const BlockTape* add(const Job& job, const Block& block, const SavedContext& context, bool is_layer, double tokens, double on_host = 0);
  const BlockTape* add_encoder(const Job& job, const PricedModel& priced, const Block& block);

  SavedContext context_;
  std::vector<std::unique_ptr<BlockTape>> tapes_;
};

}  // namespace dts

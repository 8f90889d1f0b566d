// The memory tapes of every block of a model under a strategy: what each allocates and frees, for one micro-batch.
#pragma once

#include <memory>
#include <vector>

#include "memory/block_tape.hpp"
#include "memory/saved_bytes.hpp"
#include "step/plan/priced_model.hpp"

namespace dts {

class ModelTapes {
 public:
  ModelTapes(const Job& job, const PricedModel& priced);
  ModelTapes(const ModelTapes&) = delete;
  ModelTapes& operator=(const ModelTapes&) = delete;

  const SavedContext& layer_context() const noexcept { return context_; }
  const BlockTape *stem = nullptr, *head = nullptr;
  std::vector<const BlockTape*> layers;  // of each layer of the model
  std::vector<const BlockTape*> copied;  // the same with activations in another tier; empty unless they are offloaded
  std::vector<const BlockTape*> encoder, prediction;

 private:
  SavedContext context_of(const Job& job, const PricedModel& priced, const Block& block) const;
  struct Kind {
    bool is_layer = false, again = false;  // again: it is recomputed
    double on_host = 0;
  };
  TapeRules rules_of(const Job& job, const Block& block, Kind kind, double tokens) const;
  const BlockTape* add(BlockTape tape);
  const BlockTape* add(const Job& job, const Block& block, const SavedContext& context, Kind kind, double tokens);
  void add_layers(const Job& job, const PricedModel& priced, double on_host, std::vector<const BlockTape*>& tapes);
  void add_units(const Job& job, const PricedModel& priced);
  const BlockTape* add_encoder(const Job& job, const PricedModel& priced, const Block& block);

  SavedContext context_;
  std::vector<std::unique_ptr<BlockTape>> tapes_;
};

}  // namespace dts

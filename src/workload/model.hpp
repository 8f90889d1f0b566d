// A model is an input stem, blocks repeated in order, and an output head. Blocks are the unit that pipeline stages,
// FSDP and recomputation work on.
#pragma once

#include <string>
#include <vector>

#include "workload/op.hpp"

namespace dts {

struct Block {
  std::string name;
  std::vector<Op> ops;
  double tokens_per_sample = 0;  // where they are not the model's: image patches of an encoder
};

struct LayerRun {  // `repeat` consecutive copies of one block
  Block block;
  int repeat = 1;
};

struct ModelSpec {
  std::string name;
  Block stem;                        // embedding: on the first pipeline stage
  std::vector<LayerRun> layers;      // split over pipeline stages
  Block head;                        // final norm, LM head, loss: on the last pipeline stage
  std::vector<LayerRun> encoder;     // before the stem, on the first stage: a vision tower and its projector
  std::vector<LayerRun> prediction;  // beside the head, on the last stage: modules that predict further tokens
  double hidden = 0;                 // features of the residual stream, sent between pipeline stages
  double tokens_per_sample = 0;      // fixed sequence length (vision), 0 = given by seq_len
  bool tied_embeddings = false;      // head weights are the stem's: counted once, copied when on different stages
};

int layer_count(const ModelSpec& model);
double parameter_count(const Block& block);
double parameter_count(const ModelSpec& model);         // tied weights once
bool has_experts(const ModelSpec& model);               // in its layers
double active_parameter_count(const ModelSpec& model);  // experts counted top_k / experts
void check_model(const ModelSpec& model);

}  // namespace dts

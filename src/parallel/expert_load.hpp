// How many rows each expert gets, and what the rank with the busiest experts computes: a synchronous layer ends there.
// Loads are relative to the balanced rows of an expert, tokens x top_k / experts.
//
//   balanced    every expert alike
//   uniform     tokens choose at random: the fullest of G ranks has 1 + sqrt(2 ln G (1 - k/E) / n) times its mean n
//               (largest of G nearly normal counts)
//   zipf        the i-th busiest expert gets i^-exponent
//   power_law   loads drawn from x^-exponent on [1, 0.8 tokens], at the quantiles (i + 1/2) / E
//   histogram   measured rows per expert, in the order in which experts lie on the ranks
//
// A token uses an expert once, so none gets more than a share of 1 / top_k; the excess goes to the others in
// proportion. Zipf and power-law experts are dealt to ranks in a seeded order. A capacity drops rows beyond ceil(tokens
// k / E factor) per expert and sending rank; padding fills up to it. Left out: loads that change from layer to layer
// and step to step, unequal experts inside a rank under uniform routing.
#pragma once

#include <vector>

#include "error.hpp"

namespace dts {

struct Strategy;

enum class LoadKind { Balanced, Uniform, Zipf, PowerLaw, Histogram };

struct ExpertLoad {
  LoadKind kind = LoadKind::Balanced;
  double exponent = 1;
  std::vector<double> histogram;
  int seed = 0;  // which experts are the busy ones
};

// How tokens reach experts.
enum class Dispatcher {
  Framework,  // as the framework profile says
  AllToAll,   // routed rows, one copy per expert
  AllGather,  // every token to every rank, which picks its own
  DeepEP,     // one copy per domain and rank (DeepEP, HybridEP): comm/token_exchange.hpp
};

struct Routing {
  Dispatcher dispatcher = Dispatcher::AllToAll;
  ExpertLoad load;
  double capacity_factor = 0;  // 0 = no row is dropped
  bool pad_to_capacity = false;
  int max_nodes = 0;                    // nodes (scale-up domains) that a token's experts may lie on; 0 = any
  bool overlap_shared_experts = false;  // they hide the exchange: pricing/expert_overlap.hpp
  double exchange_sms = 0;              // multiprocessors that a deduplicating exchange holds
};

struct RoutedLoad {
  double kept = 1;              // rows computed / rows routed: below 1 when dropped, above when padded
  double fullest = 1;           // rows of the fullest rank / balanced rows
  std::vector<double> experts;  // of that rank, each over the balanced rows of an expert; empty = all `fullest`
};

// Load of each expert over the mean, before any capacity; sums to `experts`. Not for uniform routing.
std::vector<double> expert_loads(const ExpertLoad& load, int experts, double top_k, double tokens);

// `tokens`: those that one of the `ep` ranks sends.
RoutedLoad routed_load(const Routing& routing, int experts, double top_k, int ep, double tokens);

// Rules between the fields, and between them and a model with such experts.
void check_routing(Checker& check, const Strategy& strategy, double experts);

}  // namespace dts

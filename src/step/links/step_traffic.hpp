// Bytes that a step sends from rank to rank: every task of the program with the collectives it stands for, on every
// group of its axis. Pairs follow the network's own pattern (comm/interconnect.hpp).
#pragma once

#include <vector>

#include "comm/interconnect.hpp"
#include "step/tasks/step_program.hpp"

namespace dts {

// `folded` is the program of one rank per stage. Row-major matrix, row = sender. Throws ConfigError for more ranks than
// kMaxMatrixDevices.
std::vector<double> traffic_of_step(const StepPlan& plan, const StepProgram& folded, const RankGrid& grid,
                                    const Interconnect& network);

}  // namespace dts

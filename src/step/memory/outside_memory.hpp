// What stands on a device outside the framework's allocator: the context, and for each pipeline rank the buffers of the
// communicators that its layout makes, and those registered for overlapped matmuls.
#pragma once

#include "memory/memory_report.hpp"
#include "pricing/group_pricer.hpp"
#include "step/plan/job.hpp"

namespace dts {

// Matmuls of tensor parallelism are split beside their collectives, through registered buffers.
bool uses_user_buffers(const Job& job, const GroupPricer& groups);

class OutsideMemory {
 public:
  OutsideMemory(const Job& job, const GroupPricer& groups, const LocalSizes& sizes);
  void fill(MemoryReport& report, int stage) const;

 private:
  const Job& job_;
  const GroupPricer& groups_;
  double activation_;  // bytes of a micro-batch on the rank, before tensor parallelism splits it
  double user_buffers_ = 0;
  CommunicatorBytes alike_{};  // of communicators that every stage has
};

}  // namespace dts

// What an event is called: its kind, and the micro-batch and piece where it belongs to a pass.
#pragma once

#include <string>
#include <vector>

#include "step/tasks/step_program.hpp"

namespace dts {

inline bool belongs_to_pass(TaskKind kind) noexcept {
  return kind != TaskKind::Optimizer && kind != TaskKind::Sync && kind != TaskKind::TiedReduce &&
         kind != TaskKind::CopyReduce;
}

inline std::string title_of(const std::vector<std::string>& kinds, const TaskInfo& t) {
  std::string title = kinds[static_cast<std::size_t>(t.kind)];
  if (!belongs_to_pass(t.kind)) return title;
  title += " mb" + std::to_string(t.micro_batch);
  return t.piece >= 0 ? title + "." + std::to_string(t.piece) : title;
}

}  // namespace dts

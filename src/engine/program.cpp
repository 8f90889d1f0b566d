#include "engine/program.hpp"

#include <cmath>
#include <string>

#include "engine/time_grid.hpp"
#include "error.hpp"

namespace dts {

namespace {

[[noreturn]] void reject(std::size_t task, const std::string& what, const std::string& got,
                         const std::string& expected) {
  throw ConfigError(std::vector<Violation>{{"task " + std::to_string(task) + " " + what, got, expected, ""}});
}

}  // namespace

TaskId Program::add(double duration_s, const StreamId* streams, std::size_t stream_count, const TaskId* deps,
                    std::size_t dep_count, DeviceUse use) {
  const std::size_t id = duration_s_.size();
  if (!(std::isfinite(duration_s) && duration_s >= 0)) {
    reject(id, "duration", number_text(duration_s), "a finite number >= 0 s");
  }
  for (std::size_t i = 0; i < stream_count; ++i) {
    if (streams[i] >= streams_) reject(id, "stream", std::to_string(streams[i]), "below " + std::to_string(streams_));
  }
  for (std::size_t i = 0; i < dep_count; ++i) {
    if (deps[i] >= id) reject(id, "dependency", std::to_string(deps[i]), "an earlier task");
  }
  if (!(use.work >= 0 && use.work <= 1 && use.held >= 0 && use.held <= 1)) {
    reject(id, "use", number_text(use.work) + " of work, " + number_text(use.held) + " held", "shares between 0 and 1");
  }
  duration_s_.push_back(on_grid(duration_s));
  if (shares_devices()) use_.push_back(use);
  stream_.insert(stream_.end(), streams, streams + stream_count);
  dep_.insert(dep_.end(), deps, deps + dep_count);
  stream_begin_.push_back(static_cast<std::uint32_t>(stream_.size()));
  dep_begin_.push_back(static_cast<std::uint32_t>(dep_.size()));
  return static_cast<TaskId>(id);
}

}  // namespace dts

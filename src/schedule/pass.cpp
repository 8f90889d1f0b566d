#include "schedule/pass.hpp"

namespace dts {

std::string name_of(const Pass& pass) {
  static constexpr const char* kNames[] = {"F", "B", "B", "W"};
  return kNames[static_cast<int>(pass.kind)] + std::to_string(pass.micro_batch) + "." + std::to_string(pass.chunk);
}

}  // namespace dts

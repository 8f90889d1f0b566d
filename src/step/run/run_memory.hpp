// Memory that runs of steps use one after the other: a step that takes milliseconds spends much of them on fresh pages.
#pragma once

#include <cstddef>
#include <vector>

#include "step/account/exposure.hpp"

namespace dts {

struct RunMemory {
  ExposureLists lists;
  std::vector<double> forward_in, backward_in;  // when inputs arrive

  std::size_t entries() const { return lists.entries() + forward_in.capacity() + backward_in.capacity(); }
};

}  // namespace dts

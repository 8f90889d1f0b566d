// Constants of the two fabric levels. Source of the form and the values: NCCL measurements over many systems; see
// docs/guide/communication.md.
#pragma once

#include <string>

namespace dts {

struct ScaleUpSpec {
  std::string name = "nvlink4";
  int domain_devices = 0;    // devices in one domain; 0 = the node's devices
  double device_Bps = 450e9; // datasheet, per device and direction
};

struct ScaleOutSpec {
  std::string name = "infiniband";
};

}  // namespace dts

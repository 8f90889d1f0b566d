// The two cases of branches_of: a group inside one scale-up domain and a group across domains.
#pragma once

#include "comm/fabric.hpp"

namespace dts {

Branches branches_in_domain(const ClusterSpec& cluster, CollectiveKind kind, const GroupSpan& span) noexcept;
Branches branches_in_torus(const ClusterSpec& cluster, CollectiveKind kind, const GroupSpan& span) noexcept;
Branches branches_across(const ClusterSpec& cluster, CollectiveKind kind, const GroupSpan& span) noexcept;

}  // namespace dts

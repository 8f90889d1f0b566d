#include "workload/op.hpp"

namespace dts {

double parameter_count(const Op& op) {
  if (op.shared) return 0;
  const double bias = op.bias ? op.out_features : 0;
  switch (op.kind) {
    case OpKind::Matmul: return op.in_features * op.out_features + bias + op.extra_parameters;
    case OpKind::GroupedMatmul: return op.experts * (op.in_features * op.out_features + bias) + op.extra_parameters;
    case OpKind::Norm: return op.in_features / op.norm_groups * (op.norm_has_bias ? 2 : 1) + op.extra_parameters;
    case OpKind::Embedding: return op.in_features * op.out_features + op.extra_parameters;
    case OpKind::Router: return (op.in_features + (op.bias ? 1 : 0)) * op.experts + op.extra_parameters;
    case OpKind::Conv2d:
      return op.in_features / op.groups * op.out_features * op.kernel_area + bias + op.extra_parameters;
    default: return op.extra_parameters;
  }
}

bool trains_weights(const Op& op) { return op.trainable && (op.shared || parameter_count(op) > 0); }

}  // namespace dts

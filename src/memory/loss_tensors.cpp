#include "memory/loss_tensors.hpp"

#include <algorithm>

namespace dts {

namespace {

constexpr double kFp32 = 4;
using Events = std::vector<LossTensors::Event>;
constexpr bool kFrees = true;

// Fused kernels write the gradient over the logits (Transformer Engine pytorch/triton/cross_entropy.py, llm.c).
LossTensors in_place(double width) { return {{{"logits", width}}, {}, {}, 0}; }

// core/tensor_parallel/cross_entropy.py: an fp32 copy that becomes the softmax, then the gradient, cast for the head.
LossTensors megatron(double width) {
  return {{{"logits", width}, {"softmax", kFp32}, {"logits gradient", width}},
          Events{{1}, {0, kFrees}},
          Events{{2}, {1, kFrees}},
          2};
}

// The same through torch.compile (core/fusions/fused_cross_entropy.py); `extra`: what its kernels leave between them.
LossTensors megatron_jit(double width, double extra) {
  return {{{"logits", width}, {"fp32 logits", extra}, {"softmax", kFp32}, {"logits gradient", width}},
          Events{{1}, {2}, {1, kFrees}, {0, kFrees}},
          Events{{3}, {2, kFrees}},
          3};
}

// cross_entropy(x.float()): log-softmax is kept; its gradient and that of the picked entries stand beside it.
LossTensors torch_eager(double width) {
  return {{{"logits", width},
           {"fp32 logits", kFp32},
           {"log-softmax", kFp32},
           {"picked gradient", kFp32},
           {"fp32 logits gradient", kFp32},
           {"logits gradient", width}},
          Events{{1}, {2}, {1, kFrees}, {0, kFrees}},
          Events{{3}, {4}, {3, kFrees}, {2, kFrees}, {5}, {4, kFrees}},
          5};
}

// Compiled as one: logits and a row's maximum and sum are enough for the gradient.
LossTensors torch_compiled(double width) {
  return {{{"logits", width}, {"logits gradient", width}}, Events{}, Events{{1}, {0, kFrees}}, 1};
}

// nanotron models/llama.py cast_to_fp32 and tensor_parallel/functional.py: cast, then the shifted copy that becomes
// softmax and gradient.
LossTensors nanotron(double width) {
  return {{{"logits", width}, {"fp32 logits", kFp32}, {"softmax", kFp32}, {"logits gradient", width}},
          Events{{1}, {0, kFrees}, {2}, {1, kFrees}},
          Events{{3}, {2, kFrees}},
          3};
}

}  // namespace

LossTensors loss_tensors(LossKernel kernel, double activation_bytes) {
  switch (kernel) {
    case LossKernel::InPlace: return in_place(activation_bytes);
    case LossKernel::MegatronJit: return megatron_jit(activation_bytes, kFp32);
    case LossKernel::MegatronJitAmpere: return megatron_jit(activation_bytes, 9);
    case LossKernel::TorchEager: return torch_eager(activation_bytes);
    case LossKernel::TorchCompiled: return torch_compiled(activation_bytes);
    case LossKernel::Nanotron: return nanotron(activation_bytes);
    default: return megatron(activation_bytes);
  }
}

double loss_peak_bytes(const LossTensors& loss) {
  double live = loss.tensors.front().bytes, peak = live;
  for (const Events* events : {&loss.forward, &loss.backward}) {
    for (const LossTensors::Event& e : *events) {
      const double bytes = loss.tensors[static_cast<std::size_t>(e.tensor)].bytes;
      live += e.frees ? -bytes : bytes;
      peak = std::max(peak, live);
    }
  }
  return peak;
}

}  // namespace dts

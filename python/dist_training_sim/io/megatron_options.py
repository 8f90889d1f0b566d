"""Names of Megatron's options, read in NVIDIA/Megatron-LM d98e8a64 (2026-08): megatron/training/arguments.py,
megatron/training/config, megatron/core/model_parallel_config.py and transformer/transformer_config.py.
"""

from __future__ import annotations

from ..parallel.choices import ContextComm, Fp8Recipe, MuonTp, Optimizer, Recompute, RecomputeMethod
from ..parallel.expert_load import Dispatcher

__all__ = [
    "COUNTS",
    "CP_COMM",
    "DISPATCHERS",
    "FP8_RECIPES",
    "IGNORED",
    "METHODS",
    "MUON_TP",
    "OPTIMIZERS",
    "RECOMPUTE",
    "SHARDING",
    "SWITCHES",
    "VOCABULARIES",
]

# Fields of Strategy that are one option with a whole number.
COUNTS = {
    "tp": "tensor-model-parallel-size",
    "pp": "pipeline-model-parallel-size",
    "vpp": "num-virtual-stages-per-pipeline-rank",
    "cp": "context-parallel-size",
    "ep": "expert-model-parallel-size",
    "etp": "expert-tensor-parallel-size",
    "micro_batch": "micro-batch-size",
    "global_batch": "global-batch-size",
    "dp_replicas": "num-distributed-optimizer-instances",
    "first_rank_layers": "decoder-first-pipeline-num-layers",
    "last_rank_layers": "decoder-last-pipeline-num-layers",
    "micro_batch_group": "microbatch-group-size-per-virtual-pipeline-stage",
}
# Fields that are a switch, off unless given.
SWITCHES = {
    "overlap_grad_reduce": "overlap-grad-reduce",
    "overlap_param_gather": "overlap-param-gather",
    "embedding_as_layer": "account-for-embedding-in-pipeline-split",
    "loss_as_layer": "account-for-loss-in-pipeline-split",
    "delay_weight_grad": "delay-wgrad-compute",
    "pad_to_capacity": "moe-pad-expert-input-to-capacity",
    "overlap_shared_experts": "moe-shared-expert-overlap",
    "overlap_moe_1f1b": "overlap-moe-expert-parallel-comm",
}
RECOMPUTE = {"full": Recompute.FULL, "selective": Recompute.SELECTIVE}
METHODS = {"uniform": RecomputeMethod.UNIFORM, "block": RecomputeMethod.BLOCK}
OPTIMIZERS = {
    "adam": Optimizer.ADAM,
    "sgd": Optimizer.MOMENTUM,
    "muon": Optimizer.MUON,
    "dist_muon": Optimizer.MUON,
}
MUON_TP = {"blockwise": MuonTp.BLOCKWISE, "duplicated": MuonTp.DUPLICATED, "distributed": MuonTp.DISTRIBUTED}
FP8_RECIPES = {
    "tensorwise": Fp8Recipe.TENSORWISE,
    "delayed": Fp8Recipe.DELAYED,
    "blockwise": Fp8Recipe.BLOCKWISE,
    "mxfp8": Fp8Recipe.MXFP8,
}
CP_COMM = {
    "p2p": ContextComm.P2P,
    "all_gather": ContextComm.ALL_GATHER,
    "a2a": ContextComm.A2A,
    "a2a+p2p": ContextComm.A2A_P2P,
}
DISPATCHERS = {"allgather": Dispatcher.ALLGATHER, "alltoall": Dispatcher.ALLTOALL, "flex": Dispatcher.DEEPEP}
SHARDING = {"no_shard": 0, "optim": 1, "optim_grads": 2, "optim_grads_params": 3}

# Vocabularies that a type of tokenizer implies.
VOCABULARIES = {"gpt2bpetokenizer": 50_257, "llama2tokenizer": 32_000, "llama3tokenizer": 128_256}

# Bear on neither the time of a step nor its memory: data, logs, checkpoints, schedules of rates, initial values, and
# kernels that the framework profile holds already.
IGNORED = (
    r"(no-)?(data|train-data|valid-data|test-data|per-split|per-dataset|dataloader|object-storage|mid-level)-.*",
    r"(no-)?(save|load|ckpt|dist-ckpt|non-persistent|use-persistent|async|checkpoint|use-checkpoint|auto-detect)(-.*)?",
    r"(no-)?(log|logging|tensorboard|wandb|one-logger|timing|profile|use-pytorch-profiler|memory-snapshot|nvtx)(-.*)?",
    r"(eval|exit|lr|min-lr|decoupled|adam|sgd|weight-decay|start-weight|end-weight|muon)(-.*)?",
    r"(clip-grad|seed|init-method-(std|xavier-uniform)|initial-loss-scale|loss-scale(-window)?|min-loss-scale)",
    r"(hysteresis|split|mock-data|no-mmap-bin-files|num-workers|reset-.*|eod-mask-loss|vocab-file|merge-file)",
    r"(no-)?(create-attention-mask-in-dataloader|initialization|check-for-nan.*|barrier.*|one-logger)",
    r"(tokenizer-(model|type)|tiktoken.*|distributed-(backend|timeout.*)|local-rank|manual-gc.*|override-.*)",
    r"(rotary.*|use-rope-scaling|rope-scaling-factor|norm-epsilon|layernorm-epsilon|apply-layernorm-1p|mscale.*)",
    r"(use-mcore-models|transformer-impl|use-flash-attn|attention-backend|attention-softmax-in-fp32|enable-.*)",
    r"(moe-(router-(load.*|pre-softmax|topk-scaling.*|score.*|bias-update.*|force-bias.*|dtype|padding.*|fusion)|aux-.*))",
    r"(moe-(z-loss.*|grouped-gemm|permute-fusion|token-drop-policy|per-layer-logging|layer-recompute-.*|input.*))",
    r"(no-)?(bias-gelu-fusion|bias-swiglu-fusion|bias-dropout-fusion|masked-softmax-fusion|rope-fusion)",
    r"(no-)?(gradient-accumulation-fusion|persist-layer-norm|align-.*|cross-entropy-.*|calculate-per-token-loss)",
    r"(fp8-(amax.*|margin|interval|param-gather)|mtp-loss-scaling-factor|te-rng-tracker|use-dist-ckpt.*)",
    r"(empty-unused-memory-level|train-sync-interval|finetune|rerun-.*|high-priority-stream-groups|kv-channels-.*)",
    r"(use-precision-aware-optimizer-.*|ddp-average-in-collective|no-ckpt.*|disable-gloo.*|use-cpu-initialization)",
    r"((train|valid|test)-weighted-.*|train-tokens|valid-num-workers|skip-train.*|kill-switch-path|norm-target-loss)",
    r"(tp-comm-(bootstrap-backend|overlap-cfg)|no-tp-comm-(bulk|split)-.*)",
    r"(abort-on-.*|tokenizer-name.*|codecarbon-dir|universal-checkpoint|sync-tp.*|loss-on-targets.*|mup.*)",
    r"(deepspeed(-config|-mpi)?|no-pipeline-parallel|cpu-optimizer-.*|memory-centric.*|create-moe-param-group)",
    r"(deterministic-mode|sample-rate|fim-.*|num-dataset-builder-threads|legacy-tokenizer|trust-remote-code)",
)

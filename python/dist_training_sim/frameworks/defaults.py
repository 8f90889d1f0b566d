"""What a job of a framework does where its description leaves it open: decided once per framework, never per run."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import Problems

__all__ = ["FrameworkDefaults"]

_CHOICES = {
    "fp8_recipe": ("tensorwise", "delayed", "blockwise", "mxfp8"),
    "precision": ("bf16", "fp16", "fp32", "tf32", "fp8", "fp4"),
    "recompute": ("none", "selective", "full"),
    "stages": ("even", "by_cost"),
    "micro_batches": ("stated", "stages", "one"),
}


@dataclass(frozen=True, kw_only=True)
class FrameworkDefaults:
    """Settings that a recipe or launcher of the framework implies; `validate` fills the gaps of published runs.

    Attributes
    ----------
    overlap_grad_reduce, overlap_sharded_reduce, overlap_param_gather
        Gradients are reduced during the last backward, with replicated and with sharded optimizer states; parameters
        are gathered during the first forward.
    sequence_parallel
        Norms and residuals are split over the tensor-parallel ranks; None = whenever `tp > 1`.
    zero
        Sharding of states that is not stated otherwise, 0 to 3.
    layer_per_chunk
        With pipeline stages, an unstated `vpp` gives every chunk one layer (where that divides evenly).
    micro_batches
        `"stated"`: by the size of a micro-batch; `"stages"`: a pipeline cuts the local batch into as many as it has
        stages; `"one"`: the local batch is one.
    interleaved_chunks
        Chunks per stage of an interleaved schedule whose `vpp` is not stated.
    stages
        `"even"` numbers of layers, or `"by_cost"`: by weights of the matmuls, LM head included.
    precision, recompute
        What an unstated precision or recomputation means.
    fp8_recipe
        Scaling of 8-bit matmuls that are not stated to be MXFP8.
    dropout
        Hidden and attention dropout are on.
    vocabulary
        Tokens of a model that states none; GPT-2's, which Megatron's scripts use.
    """

    overlap_grad_reduce: bool = True
    overlap_sharded_reduce: bool = True
    overlap_param_gather: bool = True
    sequence_parallel: bool | None = None
    zero: int = 0
    layer_per_chunk: bool = False
    micro_batches: str = "stated"
    interleaved_chunks: int = 1
    stages: str = "even"
    precision: str = "bf16"
    recompute: str = "none"
    fp8_recipe: str = "tensorwise"
    dropout: bool = False
    vocabulary: int = 50_257

    def __post_init__(self) -> None:
        problems = Problems()
        for f in fields(self):
            value = getattr(self, f.name)
            where = f"defaults.{f.name}"
            if f.name in _CHOICES:
                if value not in _CHOICES[f.name]:
                    problems.add(where, value, f"one of {', '.join(_CHOICES[f.name])}")
            elif f.type == "int":
                low, high = (0, 3) if f.name == "zero" else (1, 2**20)
                problems.count(where, value, low, high)
            elif not isinstance(value, bool) and (value is not None or f.name != "sequence_parallel"):
                problems.add(where, value, "true or false")
        problems.raise_if_any()

"""Hugging Face configs: every family's fields, and files that are damaged, hostile or simply wrong."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from dist_training_sim.catalog import models as catalog
from dist_training_sim.errors import ConfigError, FormatError, MissingDataError
from dist_training_sim.io.hf_config import MAX_FILE_BYTES, model_types, read_hf_model
from dist_training_sim.models import Model, OpKind
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLE = Path(__file__).parents[2] / "examples" / "configs" / "llama-3.1-8b" / "config.json"

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 100,
}
# one layer: qkv 64 x 128, proj 64 x 64, gate/up/down 3 x 64 x 128, two gains; table, head and final gain
LLAMA_WEIGHTS = 2 * (64 * 128 + 64 * 64 + 3 * 64 * 128 + 2 * 64) + 2 * 100 * 64 + 64


def with_fields(**fields: Any) -> dict[str, Any]:
    return {**LLAMA, **fields}


# --- families ------------------------------------------------------------------------------------------------------


def test_shipped_example_file_folder_and_dict_agree() -> None:
    from_file = Model.from_hf(EXAMPLE)
    assert from_file.parameters == 8_030_261_248
    assert from_file.name == "llama-3.1-8b"
    assert Model.from_hf(str(EXAMPLE.parent)) == from_file
    assert (
        Model.from_hf(json.loads(EXAMPLE.read_text()), "llama-3.1-8b")
        == from_file
        == Model.from_catalog(from_file.name)
    )


def test_small_llama_by_hand() -> None:
    assert read_hf_model(LLAMA).parameters == LLAMA_WEIGHTS


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({"num_key_value_heads": None}, 2 * 64 * 64),  # as many as heads
        ({"head_dim": 32}, 2 * (64 * 128 + 64 * 64)),
        ({"attention_bias": True}, 2 * (128 + 64)),
        ({"mlp_bias": True}, 2 * (2 * 128 + 64)),
        ({"tie_word_embeddings": True}, -100 * 64),
        ({"model_type": "qwen2"}, 2 * 128),
        ({"model_type": "qwen3", "head_dim": 16}, 2 * 2 * 16),
        ({"model_type": "mistral", "sliding_window": 8}, 0),
        ({"hidden_size": 64.0}, 0),
        ({"rope_scaling": {"factor": 8}, "unheard_of": [1, 2]}, 0),
    ],
)
def test_each_field_changes_the_count_by_hand(fields: dict[str, Any], more: int) -> None:
    assert read_hf_model(with_fields(**fields)).parameters == LLAMA_WEIGHTS + more


def test_neox_reads_the_block_input_twice() -> None:
    config = with_fields(model_type="gpt_neox")
    block = read_hf_model(config).layers[0].block
    assert block.op("mlp_norm").input == "block"
    assert block.op("up").bias
    serial = read_hf_model({**config, "use_parallel_residual": False}).layers[0].block
    assert serial.op("mlp_norm").input == ""


def test_neox_20b_count() -> None:
    # EleutherAI/gpt-neox-20b: 20,554,567,680 weights
    config = {
        "model_type": "gpt_neox",
        "hidden_size": 6144,
        "num_hidden_layers": 44,
        "num_attention_heads": 64,
        "intermediate_size": 24576,
        "vocab_size": 50432,
    }
    assert read_hf_model(config).parameters == 20_554_567_680


def test_qwen_moe_with_gated_shared_expert() -> None:
    # Qwen/Qwen1.5-MoE-A2.7B: 14,315,784,192 weights
    config = {
        "model_type": "qwen2_moe",
        "hidden_size": 2048,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "intermediate_size": 5632,
        "moe_intermediate_size": 1408,
        "shared_expert_intermediate_size": 5632,
        "num_experts": 60,
        "num_experts_per_tok": 4,
        "vocab_size": 151936,
    }
    assert read_hf_model(config).parameters == 14_315_784_192
    dense_first = read_hf_model({**config, "mlp_only_layers": [0, 2]})
    kinds = [run.block.name for run in dense_first.layers for _ in range(run.repeat)]
    assert kinds == ["dense-layer", "moe-layer", "dense-layer"] + ["moe-layer"] * 21
    every_other = read_hf_model({**config, "decoder_sparse_step": 2})
    assert [run.block.name for run in every_other.layers] == ["dense-layer", "moe-layer"] * 12


def test_gemma3_nested_text_config() -> None:
    # google/gemma-3-1b-pt: 999,885,952 weights; five local layers to one global
    text = {
        "model_type": "gemma3_text",
        "hidden_size": 1152,
        "num_hidden_layers": 26,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "intermediate_size": 6912,
        "vocab_size": 262144,
        "sliding_window": 512,
    }
    model = read_hf_model({"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}})
    assert model.parameters == 999_885_952
    windows = [run.block.op("attention").window for run in model.layers for _ in range(run.repeat)]
    assert windows == ([512] * 5 + [0]) * 4 + [512] * 2


def test_layer_types_rule_over_the_pattern() -> None:
    config = {**catalog.entry("gpt-oss-20b").config, "num_hidden_layers": 3}
    kinds = ["full_attention", "full_attention", "sliding_attention"]
    model = read_hf_model({**config, "layer_types": kinds})
    assert [(run.repeat, run.block.op("attention").window) for run in model.layers] == [(2, 0), (1, 128)]


def test_dropout_is_kept_and_can_be_switched_off() -> None:
    gpt = dict(catalog.entry("gpt2").config)
    names = {op.name for op in read_hf_model(gpt).layers[0].block.ops}
    off = read_hf_model({**gpt, "resid_pdrop": 0.0, "embd_pdrop": 0, "attn_pdrop": 0})
    assert {"attn_dropout", "mlp_dropout"} <= names
    assert not any(op.kind is OpKind.DROPOUT or op.score_dropout for block in off.blocks() for op in block.ops)


def test_vision_configs() -> None:
    vit = read_hf_model({**catalog.entry("vit-b-16").config, "image_size": 384, "id2label": {"0": "cat", "1": "dog"}})
    assert vit.tokens_per_sample == 24 * 24 + 1
    assert vit.head.op("classifier").out_features == 2
    # torchvision: 44,549,160 weights
    assert read_hf_model({**catalog.entry("resnet-50").config, "depths": [3, 4, 23, 3]}).parameters == 44_549_160


# --- wrong values --------------------------------------------------------------------------------------------------


def test_all_problems_are_listed_together() -> None:
    config = with_fields(hidden_size=10**12, num_hidden_layers=True, vocab_size="many", intermediate_size=-1)
    config["num_attention_heads"] = None
    with pytest.raises(ConfigError) as error:
        read_hf_model(config)
    text = str(error.value)
    for field in ("hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size", "num_attention_heads"):
        assert f"config.{field}: got" in text
    assert len(text.splitlines()) == 5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "lama"}, "did you mean llama"),
        ({"model_type": None}, "model_type: got 'NoneType'"),
        ({"model_type": ["llama"]}, "model_type: got 'list'"),
        ({"num_attention_heads": 5}, "divisor of the hidden size 64"),
        ({"num_key_value_heads": 3}, "divisor of 4 heads"),
        ({"hidden_size": float("nan")}, "hidden_size: got nan"),
        ({"hidden_size": float("inf")}, "hidden_size: got inf"),
        ({"hidden_size": 64.5}, "hidden_size: got 64.5"),
        ({"hidden_size": 10**5000}, "hidden_size: got inf"),
        ({"vocab_size": "x" * 10**6}, "vocab_size: got 'x{60}'"),
        ({"hidden_act": "gelu2"}, "hidden_act: got 'gelu2'"),
        ({"attention_bias": "yes"}, "true or false"),
        ({"model_type": "mixtral", "num_experts_per_tok": 9}, "at most the 8 experts"),
        ({"model_type": "gpt2", "n_positions": 8, "resid_pdrop": 1.5}, "probability from 0 to 1"),
        ({"model_type": "qwen3", "use_sliding_window": True, "layer_types": ["full"]}, "layer_types: got"),
        ({"model_type": "resnet", "depths": [3, 0], "hidden_sizes": [256]}, "equally many"),
    ],
)
def test_message_names_the_field(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        read_hf_model(with_fields(**fields))
    assert len(str(error.value)) < 2000


# --- damaged files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a JSON file"),
        (b'{"model_type": "llama"', "not a JSON file"),
        (b"\xff\xfe\x00", "not a JSON file"),
        (b"[1, 2]", "got a list"),
        (b'{"hidden_size": NaN}', "NaN is no JSON number"),
        (b'{"hidden_size": -Infinity}', "-Infinity is no JSON number"),
        (b'{"hidden_size": ' + b"9" * 5000 + b"}", "not a JSON file"),
        (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "nested too deeply"),
        (b" " * (MAX_FILE_BYTES + 1), "larger than 8 MiB"),
    ],
    ids=["empty", "cut", "not-utf8", "list", "nan", "infinity", "digits", "deep-list", "deep-object", "large"],
)
def test_damaged_file_is_a_format_error(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message) as error:
        Model.from_hf(path)
    assert len(str(error.value)) < 2000


@pytest.mark.parametrize("path", ["no/such/config.json", ".", "a\0b", "x" * 5000])
def test_missing_file(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingDataError):
        Model.from_hf(path)


def test_infinite_number_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA).replace('"hidden_size": 64', '"hidden_size": 1e999'))
    with pytest.raises(ConfigError, match="hidden_size: got inf"):
        Model.from_hf(path)


# --- any config either builds or explains --------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.integers(0, 300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
REPRESENTATIVES = {
    catalog.entry(name).config["model_type"]: dict(catalog.entry(name).config) for name in catalog.names()
}
READ_FIELDS = sorted(
    {key for config in REPRESENTATIVES.values() for key in config}
    | {"head_dim", "layer_types", "tie_word_embeddings", "hidden_act", "attention_bias", "mlp_only_layers"}
    | {
        "decoder_sparse_step",
        "max_window_layers",
        "use_sliding_window",
        "resid_pdrop",
        "n_inner",
        "id2label",
        "image_size",
    }
)


@st.composite
def mangled(draw: st.DrawFn) -> dict[str, Any]:
    """A catalogue config with fields dropped, replaced or given to another family."""
    config = copy.deepcopy(REPRESENTATIVES[draw(st.sampled_from(sorted(REPRESENTATIVES)))])
    for key in draw(st.lists(st.sampled_from(READ_FIELDS), max_size=4)):
        config[key] = draw(VALUES)
    for key in draw(st.lists(st.sampled_from(sorted(config)), max_size=2)):
        config.pop(key, None)
    if draw(st.booleans()):
        config["model_type"] = draw(st.sampled_from(model_types()))
    return config


def build_or_explain(source: Any) -> Model | str:
    try:
        return read_hf_model(source)
    except (ConfigError, FormatError) as error:
        return str(error)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mangled())
def test_mangled_config_builds_or_explains(config: dict[str, Any]) -> None:
    built = build_or_explain(config)
    if isinstance(built, str):
        assert 0 < len(built) < 10_000
    else:
        assert built.parameters >= built.active_parameters > 0
        assert built.layer_count >= 1


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_explained(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("config") / "config.json"
    path.write_bytes(data)
    assert isinstance(build_or_explain(path), str)


def test_every_supported_type_is_covered_by_a_test_or_the_catalogue() -> None:
    assert set(model_types()) - set(REPRESENTATIVES) == {
        *("gemma3_text", "gpt_neox", "qwen2_moe"),
        *("qwen2_5_vl", "qwen2_5_vl_text"),  # test_vision_tower.py
    }


def test_a_multimodal_config_read_without_its_tower_says_so() -> None:
    text = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
            "intermediate_size": 128, "vocab_size": 512}  # fmt: skip
    config = {"model_type": "llava", "text_config": text, "vision_config": {"hidden_size": 32}, "_name_or_path": "seer"}
    assert Model.from_hf(config).name == "seer (language model alone)"
    assert Model.from_hf(config, "mine").name == "mine"
    assert Model.from_hf(text | {"_name_or_path": "plain"}).name == "plain"

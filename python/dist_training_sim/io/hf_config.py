"""Hugging Face `config.json` → `Model`.

A file is read within bounds (size, nesting, magnitude of every number); unknown keys are ignored, and all problems are
reported in one error. Multimodal configs are read for their `text_config`, and on demand for their `vision_config`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from .._files import is_file, is_folder
from ..errors import ConfigError, FormatError, MissingDataError, suggest
from ..models import Model, VisionTower, with_vision
from .hf_decoders import bloom, gpt2, gpt_neox, llama, mistral, mpt, opt, qwen2, qwen3
from .hf_experts import deepseek_v2, deepseek_v3, gpt_oss, mixtral, qwen2_moe, qwen3_moe
from .hf_fields import Fields
from .hf_gemma import gemma, gemma2, gemma3
from .hf_hybrid import jamba, nemotron_h, qwen3_next
from .hf_multimodal import llama4, llama4_vision, qwen2_vl_vision
from .hf_vision import bert, resnet, vit

__all__ = ["MAX_FILE_BYTES", "model_types", "read_hf_model"]

MAX_FILE_BYTES = 8 * 2**20

_FAMILIES: dict[str, Callable[[Fields, str], Model]] = {
    "bert": bert,
    "bloom": bloom,
    "deepseek_v2": deepseek_v2,
    "deepseek_v3": deepseek_v3,
    "gemma": gemma,
    "gemma2": gemma2,
    "gemma3_text": gemma3,
    "gpt2": gpt2,
    "gpt_neox": gpt_neox,
    "gpt_oss": gpt_oss,
    "jamba": jamba,
    "llama": llama,
    "llama4_text": llama4,
    "mistral": mistral,
    "mixtral": mixtral,
    "mpt": mpt,
    "nemotron_h": nemotron_h,
    "opt": opt,
    "qwen2": qwen2,
    "qwen2_5_vl": qwen2,
    "qwen2_5_vl_text": qwen2,
    "qwen2_moe": qwen2_moe,
    "qwen3": qwen3,
    "qwen3_moe": qwen3_moe,
    "qwen3_next": qwen3_next,
    "resnet": resnet,
    "vit": vit,
}


# Readers of `vision_config`, by the outer `model_type`.
_TOWERS: dict[str, Callable[[Fields], VisionTower]] = {"llama4": llama4_vision, "qwen2_5_vl": qwen2_vl_vision}


def model_types() -> list[str]:
    """Return the values of `model_type` that are understood, sorted."""
    return sorted(_FAMILIES)


def read_hf_model(
    source: str | PathLike[str] | Mapping[str, Any], name: str = "", *, image_tokens: int = 0, images: int = 1
) -> Model:
    """Build the model that a Hugging Face config describes.

    Parameters
    ----------
    source
        Path of a `config.json` or of the folder that holds it, or the parsed object.
    name
        Name of the model; default: the config's `_name_or_path`, else the file's folder, else its `model_type`, and
        what is left out of a multimodal one.
    image_tokens, images
        Tokens of a sample that come from images, and how many those are; with them the vision tower of a multimodal
        config stands in front of the decoder. 0 = the language model alone.

    Raises
    ------
    MissingDataError
        If there is no such file.
    FormatError
        If the file is no JSON object, is larger than 8 MiB, nested too deeply or holds NaN or infinity.
    ConfigError
        If the model type is unknown or fields are missing or illegal; all of them are listed. If image tokens are
        asked of a config without a vision tower that is known.
    """
    given = name
    if isinstance(source, Mapping):
        config, label = source, "config"
    else:
        path = _find(Path(source))
        config, label = _read(path), str(path.name)
        name = name or path.resolve().parent.name
    text = _language_part(config)
    model_type = text.get("model_type")
    if not isinstance(model_type, str) or model_type not in _FAMILIES:
        got = model_type[:60] if isinstance(model_type, str) else type(model_type).__name__
        raise ConfigError(f"{label}.model_type: got {got!r}, {suggest(got, _FAMILIES)}")
    model = _FAMILIES[model_type](Fields(text, label), _name(config, name, model_type))
    if not image_tokens:
        part = "" if given or "vision_config" not in config else " (language model alone)"
        return replace(model, name=model.name + part)
    return replace(with_vision(model, _tower(config, label), image_tokens=image_tokens, images=images), name=model.name)


def _tower(config: Mapping[str, Any], label: str) -> VisionTower:
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in _TOWERS:
        got = kind[:60] if isinstance(kind, str) else type(kind).__name__
        raise ConfigError(f"{label}.model_type: got {got!r} with image_tokens, expected one of {', '.join(_TOWERS)}")
    return _TOWERS[kind](Fields(config, label).section("vision_config"))


def _name(config: Mapping[str, Any], name: str, model_type: str) -> str:
    stated = config.get("_name_or_path")
    return name or (stated if isinstance(stated, str) else "") or model_type


def _language_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the nested text config where its type is ours or the outer one is not, with the outer tied embeddings."""
    nested, known = config.get("text_config"), model_types()
    if not isinstance(nested, Mapping) or (config.get("model_type") in known and nested.get("model_type") not in known):
        return config
    tied = {"tie_word_embeddings": config["tie_word_embeddings"]} if "tie_word_embeddings" in config else {}
    return {**tied, **nested}


def _find(path: Path) -> Path:
    found = path / "config.json" if is_folder(path) else path
    if not is_file(found):
        got = str(path)[:200]
        raise MissingDataError(f"model config: got {got!r}, expected a config.json or the folder that holds it")
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_FILE_BYTES:
        raise FormatError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB, expected a Hugging Face config.json")
    try:
        config = json.loads(data, parse_constant=_refuse)
    except RecursionError:
        raise FormatError(f"{path}: nested too deeply, expected a Hugging Face config.json") from None
    except ValueError as error:  # malformed JSON, text that is not UTF-8, a number of thousands of digits
        raise FormatError(f"{path}: not a JSON file ({str(error)[:160]})") from None
    if not isinstance(config, dict):
        raise FormatError(f"{path}: got a {type(config).__name__}, expected a JSON object")
    return config


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON number")

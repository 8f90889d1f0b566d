"""The program that a launch script starts: its options with their places, and the devices of its launcher."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import FormatError
from .options import Option
from .shell_expand import is_open
from .shell_script import Script, Word, read_script

__all__ = ["TOOLS", "Launch", "read_launch"]

TOOLS = ("llamafactory-cli", "axolotl", "trl")
_PER_NODE = ("nproc-per-node", "ntasks-per-node", "gpus-per-node", "num-gpus", "num-gpus-per-node")
_NODES = ("nnodes", "nodes", "num-nodes", "N")
_SBATCH = re.compile(r"^#SBATCH\s+(.+)$", re.MULTILINE)
_GRES = re.compile(r"gpu(?::[\w.-]+)?:(\d+)$")
_VALUE = re.compile(r"-{0,1}[\d.]")  # a negative number is a value, not an option


@dataclass(frozen=True)
class Launch:
    """One start of a program.

    Attributes
    ----------
    program
        Script or module, as written.
    options
        What follows it, in order.
    plain
        Words that belong to no option, such as `KEY=VALUE` overrides.
    launcher
        Options before the program: of `torchrun`, `srun`, `accelerate launch`, and `#SBATCH` lines.
    nodes, devices_per_node
        As the launcher says; None = it does not.
    notes
        What of the script was not evaluated.
    """

    program: str
    options: tuple[Option, ...]
    plain: tuple[Option, ...]
    launcher: tuple[Option, ...]
    nodes: int | None
    devices_per_node: int | None
    notes: tuple[str, ...]

    @property
    def devices(self) -> int | None:
        """Devices of the whole job."""
        return None if self.nodes is None or self.devices_per_node is None else self.nodes * self.devices_per_node


def read_launch(text: str, where: str, variables: Mapping[str, str] | None = None) -> Launch:
    """The training program of a script or of a bare command line.

    Of several programs the one with the most options is taken.

    Parameters
    ----------
    text
        Shell text.
    where
        Name of the file, for places.
    variables
        Values of environment variables.

    Raises
    ------
    FormatError
        If it starts no program with options, or is no shell text that can be read.
    """
    script = read_script(text, variables)
    candidates = [found for command in _commands(script) if (found := _split(command)) is not None]
    if not candidates:
        raise FormatError(f"{where}: no line starts a Python program with options, as torchrun pretrain_gpt.py ...")
    launcher, program, words = max(candidates, key=lambda found: len(found[2]))
    options, plain = _options(words, where)
    starts, _ = _options([*_sbatch(text), *launcher], where)
    notes = tuple(f"{where} {note}" for note in dict.fromkeys(script.notes))
    nodes, devices = _first(starts, _NODES), _first(starts, _PER_NODE) or _gres(starts)
    named = {name: _number(script.variables.scalars.get(name, "")) for name in ("NNODES", "NUM_NODES", "NGPU")}
    nodes = nodes or named["NNODES"] or named["NUM_NODES"] or (1 if devices or named["NGPU"] else None)
    return Launch(program, options, plain, starts, nodes, devices or named["NGPU"], notes)


def _commands(script: Script) -> list[list[Word]]:
    """Commands, and texts of variables that hold one (`CMD="python train.py ..."`)."""
    held = []
    for text in script.variables.scalars.values():
        if ".py" in text and "--" in text:
            line = getattr(text, "line", 1)
            try:
                words = shlex.split(text.replace("\n", " "), comments=False)
            except ValueError:
                continue
            held.append([Word(word, line) for word in words])
    return [*script.commands, *held]


def _split(command: Sequence[Word]) -> tuple[list[Word], str, list[Word]] | None:
    """(launcher, program, its words) of a command; None where it starts no Python program with arguments."""
    names = [word.text for word in command]
    place = next((i for i, name in enumerate(names) if name.endswith(".py") and not name.startswith("-")), -1)
    if place < 0:
        place = next((i + 1 for i, n in enumerate(names[:-1]) if n == "-m" and _is_training(names[i + 1])), -1)
    if place < 0 and any(name.endswith("run_train.sh") for name in names):  # torchtitan's own launcher
        place = next(i for i, name in enumerate(names) if name.endswith("run_train.sh"))
    if place < 0:  # commands of training tools, before their verb: `llamafactory-cli train`, `axolotl train`
        place = next((i + 1 for i, n in enumerate(names[:-1]) if n.rsplit("/", 1)[-1] in TOOLS), -1)
    if place < 0 and names and names[0].startswith("--"):
        return [], "", list(command)
    if place < 0 or len(names) <= place + 1:
        return None
    return list(command[:place]), names[place], list(command[place + 1 :])


def _is_training(module: str) -> bool:
    return "." in module and not module.startswith(("torch.distributed", "-")) and "accelerate" not in module


def _options(words: Sequence[Word], where: str) -> tuple[tuple[Option, ...], tuple[Option, ...]]:
    """Options with the words behind each, and words behind none."""
    found: list[tuple[str, list[str], str]] = []
    plain: list[Option] = []
    for word in words:
        text = word.text
        if text.startswith("-") and not _VALUE.match(text) and len(text) > 1:
            name, equals, value = text.partition("=")
            found.append((name.lstrip("-"), [value] if equals else [], f"{where}:{word.line}"))
        elif found and not _is_override(text):
            found[-1][1].append(text)
        else:
            plain.append(Option(text, (), f"{where}:{word.line}"))
    return tuple(Option(name, tuple(values), place) for name, values, place in found), tuple(plain)


def _is_override(text: str) -> bool:
    """A Hydra override such as `model.seq_length=4096`, which belongs to no option before it."""
    return re.match(r"[+~]*([A-Za-z_]\w*(\.\w+)+|mixed_precision)=", text) is not None


def _sbatch(text: str) -> list[Word]:
    lines = [match.group(1) for match in _SBATCH.finditer(text)]
    return [Word(part, 1) for line in lines for part in line.split()]


def _first(options: Sequence[Option], names: Sequence[str]) -> int | None:
    for option in reversed(options):
        if option.name.replace("_", "-") in names and option.values and (found := _number(option.values[0])):
            return found
    return None


def _gres(options: Sequence[Option]) -> int | None:
    for option in options:
        if option.name == "gres" and option.values and (match := _GRES.search(option.values[0])):
            return int(match.group(1))
    return None


def _number(text: str) -> int | None:
    return int(text) if not is_open(text) and text.isdecimal() and 0 < int(text[:9]) < 10**7 and len(text) < 9 else None

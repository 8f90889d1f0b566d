"""Launch scripts are read as a shell would expand them, within bounds, and nothing is run."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Mapping

import dist_training_sim as dts
import pytest
from dist_training_sim.io.launch import read_launch
from dist_training_sim.io.shell_expand import Variables
from dist_training_sim.io.shell_script import Script, read_script
from hypothesis import given, settings
from hypothesis import strategies as st


def command(text: str, variables: Mapping[str, str] | None = None) -> list[str]:
    """Words of the last command of a script."""
    commands = read_script(text, variables).commands
    return [word.text for word in commands[-1]] if commands else []


IDIOMS = {
    "words": ("run  a 'b c' \"d e\" f\\ g", ["run", "a", "b c", "d e", "f g"]),
    "continuation": ("run \\\n  --a 1 \\\n  --b 2", ["run", "--a", "1", "--b", "2"]),
    "comments": ("# run x\nrun a # b\n", ["run", "a"]),
    "hash inside a word": ("run a#b", ["run", "a#b"]),
    "variable": ("X=8\nrun $X ${X} '$X' \"$X\"", ["run", "8", "8", "$X", "8"]),
    "split": ('X="a b"\nrun $X "$X"', ["run", "a", "b", "a b"]),
    "default": ("run ${X:-7} ${Y-8}", ["run", "7", "8"]),
    "assigned default": ("run ${X:=7} $X", ["run", "7", "7"]),
    "alternative": ("X=1\nrun ${X:+set} ${Y:+unset} end", ["run", "set", "end"]),
    "empty unquoted": ("X=\nrun $X end", ["run", "end"]),
    "empty quoted": ('X=\nrun "$X" end', ["run", "", "end"]),
    "positional default": ('run ${1:-"data dir"}', ["run", "data dir"]),
    "arithmetic": ("A=8\nB=4\nrun $((A*B)) $(($A / $B - 1)) $((2*(A+1)))", ["run", "32", "1", "18"]),
    "array": ("A=(--x 1 \\\n --y 2 # note\n --z)\nrun ${A[@]} end", ["run", "--x", "1", "--y", "2", "--z", "end"]),
    "array kept whole": ('A=("a b" c)\nrun "${A[@]}"', ["run", "a b", "c"]),
    "array split": ('A=("a b" c)\nrun ${A[@]}', ["run", "a", "b", "c"]),
    "array grown": ("A=(1)\nA+=(2 3)\nrun ${A[*]}", ["run", "1", "2", "3"]),
    "array of an array": ('A=(1 2)\nA=("${A[@]}" 3)\nrun ${A[@]}', ["run", "1", "2", "3"]),
    "entry": ("A=(x y z)\nrun ${A[1]}", ["run", "y"]),
    "appended text": ('X="a"\nX+=" b"\nX="$X c"\nrun $X', ["run", "a", "b", "c"]),
    "export": ("export X=1 Y=2\nrun $X $Y", ["run", "1", "2"]),
    "local environment": ("X=1 run $Y", ["run", "$Y"]),
    "if": ('X=fp8\nif [[ "$X" == "fp8" ]]; then A=1; else A=2; fi\nrun $A', ["run", "1"]),
    "else": ("X=1\nif [ $X -gt 2 ]; then A=1; elif [ $X = 1 ]; then A=2; else A=3; fi\nrun $A", ["run", "2"]),
    "both": ("X=1\nif [[ $X == 1 && -n $X ]]; then A=y; fi\nrun $A", ["run", "y"]),
    "unset is empty": ('if [ -z "${X}" ]; then A=none; fi\nrun $A', ["run", "none"]),
    "and": ("X=1\n[ $X = 1 ] && A=yes\n[ $X = 2 ] && A=no\nrun $A", ["run", "yes"]),
    "or": ("X=1\n[ $X = 2 ] || A=other\nrun $A", ["run", "other"]),
    "case": ("M=7b\ncase $M in\n 7b) L=32 ;;\n 70b|72b) L=80 ;;\n *) L=1 ;;\nesac\nrun $L", ["run", "32"]),
    "case else": ("M=x\ncase $M in\n 7b) L=32 ;;\n *) L=1 ;;\nesac\nrun $L", ["run", "1"]),
    "case with a bracket": ("case a[b in\n [ab]) L=1 ;;\n a[b) L=2 ;;\nesac\nrun $L", ["run", "2"]),
    "case of a class": ("case b in\n [ab]) L=1 ;;\n *) L=2 ;;\nesac\nrun $L", ["run", "1"]),
    "loop": ("for T in 4 8; do\n run $T\ndone", ["run", "4"]),
    "function": ("main() {\n run x\n}\nmain", ["main"]),
    "pipe": ("run a 2>&1 | tee log", ["tee", "log"]),
    "redirect": ("run a > out.log", ["run", "a"]),
    "eval": ('C="run a b"\neval $C', ["run", "a", "b"]),
    "bash -c": ("bash -c \"run a 'b c'\"", ["run", "a", "b c"]),
    "here-document": ("X=1\nsbatch <<EOF\n#!/bin/bash\nrun $X\nEOF", ["run", "1"]),
    "apostrophe in a here-document": ("cat > notes <<EOF\nit's a note\nEOF\nrun a", ["run", "a"]),
    "here-document beside words": ("sbatch --wait <<EOF\nrun $X\nEOF", ["sbatch", "--wait"]),
    "quoted mark": ("X=1\nbash <<'EOF'\nX=2\nrun $X '$X'\nEOF", ["run", "2", "$X"]),
    "backslashes in a here-document": (
        'X=1\nsbatch <<EOF\nrun it\\\'s \\"$X\\" \\$X\nX=2\nrun "a b" \\$X\nEOF',
        ["run", "it's", '"1"', "1"],
    ),
    "other language": ('python - <<EOF\nprint("it\'s")\ns = "don\'t\nEOF\nrun b', ["run", "b"]),
    "written script": ("cat > go.sh <<EOF\nrun c\nEOF\nbash go.sh", ["run", "c"]),
    "command substitution": ("run $(hostname -f) `date`", ["run", "$(hostname -f)", "`date`"]),
}  # fmt: skip


@pytest.mark.parametrize("name", IDIOMS)
def test_idioms(name: str) -> None:
    text, words = IDIOMS[name]
    commands = [[word.text for word in command] for command in read_script(text).commands]
    assert words in commands


SHELL = shutil.which("bash")
PLAIN = st.text(alphabet="ab8 -_=.,:/", min_size=0, max_size=12)
NAMES = ("A", "B", "C")


@pytest.mark.skipif(SHELL is None, reason="no bash")
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), PLAIN), max_size=4), st.lists(st.sampled_from(
    ["$A", '"$A"', "${B:-x}", '"${B}"', "${C-y z}", '"${C:-y z}"', "'$A'", "--n", "$((2+3*4))", "a\\ b", '"a $B"']
), min_size=1, max_size=5))  # fmt: skip
def test_expansion_is_that_of_bash(assigned: list[tuple[str, str]], words: list[str]) -> None:
    lines = [f"{name}={value!r}" for name, value in assigned]
    text = "\n".join(["A=", "B=", "C=", *lines, "printf '<%s>\\n' end " + " ".join(words)])
    done = subprocess.run([str(SHELL), "-c", text], capture_output=True, text=True, check=True)
    assert "".join(f"<{word}>\n" for word in command(text)[2:]) == done.stdout


def test_words_keep_the_line_that_wrote_them() -> None:
    text = "T=4\nARGS=(\n  --tp $T\n  --pp 2\n)\ntorchrun x.py ${ARGS[@]} \\\n  --cp 1\n"
    lines = {option.name: option.where for option in read_launch(text, "t.sh").options}
    assert lines == {"tp": "t.sh:3", "pp": "t.sh:4", "cp": "t.sh:7"}


def test_conditions_on_the_machine_are_noted() -> None:
    script = read_script("if [ -f /tmp/x ]; then run a; else run b; fi")
    assert [[word.text for word in command] for command in script.commands] == [["run", "b"]]
    assert script.notes == ["line 1: a condition depends on the machine, it counts as false"]


@pytest.mark.parametrize(
    ("line", "devices"),
    [
        ("torchrun --nproc_per_node 8 --nnodes 4 pretrain_gpt.py --a 1", 32),
        ("torchrun --nproc-per-node=8 pretrain_gpt.py --a 1", 8),
        ("python -m torch.distributed.run --nproc_per_node=4 --nnodes=2 pretrain_gpt.py --a", 8),
        ("#SBATCH --nodes=16\n#SBATCH --gpus-per-node=8\nsrun python pretrain_gpt.py --a 1", 128),
        ("#SBATCH -N 2\n#SBATCH --gres=gpu:h100:8\nsrun python pretrain_gpt.py --a 1", 16),
        ("srun -N 4 --ntasks-per-node=8 python pretrain_gpt.py --a 1", 32),
        ("python pretrain_gpt.py --a 1", None),
        ("--num-layers 2 --a 1", None),
    ],
)
def test_launchers_say_how_many_devices(line: str, devices: int | None) -> None:
    launch = read_launch(line, "x")
    assert launch.devices == devices
    assert launch.options[-1].name == "a"


@pytest.mark.parametrize(
    "text",
    [
        'run "a',
        "run 'a",
        "run ${A",
        "run $(a",
        "run `a",
        "A=" + "${" * 5000,
        "A=aaaaaaaaaaaaaaaa\n" + 'A="$A$A$A$A$A$A$A$A"\n' * 12 + "run $A",
        "A=(x x x x x x x x)\n" + 'A=("${A[@]}" "${A[@]}" "${A[@]}" "${A[@]}")\n' * 14,
        "x" * 1_000_001,
        "eval " + "'eval " * 3 + "run",
    ],
)
def test_broken_and_hostile_scripts_end_in_an_error(text: str) -> None:
    with pytest.raises(dts.FormatError):
        read_launch(text, "x.sh")


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab$\\{}()[]'\"`;&|<>#=+-:\n @*1i fthen do", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(dts.FormatError):
        assert read_script(text).commands is not None


def test_a_quote_that_is_not_closed_in_an_expanded_word_is_text() -> None:
    assert Variables().words("train.p'y") == ["train.p'y"]  # found by a fuzzer
    assert Variables().words("a'b c'd") == ["ab cd"]


LONG = {  # each of 600 kB: work that grows with the square of a length would take hours
    "quotes": ("A=", "''", lambda script: script.variables.scalars["A"] == ""),
    "backslashes": ("A=", "\\a", lambda script: script.variables.scalars["A"] == "a" * 300_000),
    "appended arrays": ("", "A+=(1)\n", lambda script: len(script.variables.arrays["A"]) == 85_714),
    "here-documents": ("", "x <<E ", lambda script: len(script.commands[0]) == 100_000),
    "open loops": ("", "for i in a; do ", lambda script: script.variables.scalars == {"i": "a"}),
}


@pytest.mark.parametrize(("start", "piece", "holds"), LONG.values(), ids=list(LONG))
def test_long_scripts_are_read_in_proportion_to_their_length(
    start: str, piece: str, holds: Callable[[Script], bool]
) -> None:
    assert holds(read_script(start + piece * (600_000 // len(piece))))

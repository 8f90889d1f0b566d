"""How a verb ends: exit codes, errors as readable lines on stderr, files that are whole or not there."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

import typer

from .._files import write_whole
from ..errors import DtsError, InfeasibleError, MissingDataError
from .interrupts import CODE, raises_interrupt, was_interrupted
from .option_words import in_option_words

__all__ = ["ExitCode", "complain", "guarded", "warn", "write_file"]


class ExitCode(IntEnum):
    """Exit codes of `dts`."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    """Usage, illegal layout, unknown name, malformed file."""
    DOES_NOT_FIT = 3
    """Legal, but does not fit; the result is printed all the same."""
    MISSING = 4
    """A needed constant or file is missing."""
    INTERRUPTED = CODE
    """Stopped by Ctrl-C; what was being written is whole or not there."""
    PIPE_CLOSED = 141
    """The reader of the output has gone, as a shell reports SIGPIPE."""


def guarded(verb: Callable[..., ExitCode]) -> Callable[..., None]:
    """Make a command of a verb: its errors become lines on stderr and an exit code."""

    @functools.wraps(verb)
    def command(*args: Any, **kwargs: Any) -> None:
        raise typer.Exit(_run(verb, args, kwargs))

    command.__annotations__["return"] = None
    return command


def _run(verb: Callable[..., ExitCode], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    try:
        with raises_interrupt():
            code = verb(*args, **kwargs)
            sys.stdout.flush()
        return code
    except DtsError as error:
        complain(in_option_words(str(error), verb, kwargs))
        return _code_of(error)
    except KeyboardInterrupt:
        return stopped()
    except BrokenPipeError:
        return close_pipe()
    except OSError as error:
        reason = error.strerror or str(error)
        complain(f"{'output' if error.filename is None else error.filename}: {reason}")
        close_pipe()
        return ExitCode.USAGE
    except Exception as error:
        if was_interrupted(error):
            return stopped()
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        complain(f"internal: {type(error).__name__} in {where}: {error}; please report it with the command line")
        return ExitCode.INTERNAL


def stopped() -> int:
    """Say that Ctrl-C ended the run."""
    typer.echo("stopped", err=True)
    return ExitCode.INTERRUPTED


def close_pipe() -> int:
    """Give up stdout, which cannot be written; Python flushes it once more at its end, which must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.PIPE_CLOSED


def _code_of(error: DtsError) -> ExitCode:
    if isinstance(error, MissingDataError):
        return ExitCode.MISSING
    return ExitCode.DOES_NOT_FIT if isinstance(error, InfeasibleError) else ExitCode.USAGE


def complain(problems: str) -> None:
    """Print one line per problem to stderr."""
    for line in problems.splitlines():
        typer.echo(f"error: {line}", err=True)


def warn(text: str) -> None:
    """Print a warning to stderr."""
    typer.echo(f"warning: {text}", err=True)


def write_file(path: Path, text: str, option: str = "--out") -> None:
    """Write the text file that an option names; it appears whole or not at all, and an existing one is replaced.

    Raises
    ------
    ConfigError
        If the folder does not exist or the file cannot be written.
    """
    write_whole(path, text, option)

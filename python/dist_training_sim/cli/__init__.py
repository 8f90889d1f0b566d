"""The command `dts`: each verb renders the result of the function of the same name."""

from __future__ import annotations

from collections.abc import Sequence

from .interrupts import ends_at_once

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    args
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        0 ok; 1 internal error; 2 usage, illegal layout or unknown name; 3 legal, but does not fit; 4 a needed constant
        or file is missing; 130 stopped by Ctrl-C.
    """
    try:
        with ends_at_once():
            from .app import app

            app(args=args, prog_name="dts")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0

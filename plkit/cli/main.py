"""Start of the command: faults become one sentence and an exit code, never a traceback.

Exit codes: 0 done; 1 a fault of plkit itself, or a reproduction that fails; 2 a fault of the
input or of the command line; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Final, TextIO

from plkit.errors import PlkitError, PlkitWarning

__all__ = ["EXIT_FAULT", "EXIT_INPUT", "EXIT_INTERRUPTED", "main"]

EXIT_FAULT: Final = 1
EXIT_INPUT: Final = 2
EXIT_INTERRUPTED: Final = 130


def main(args: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    args : sequence of str, optional
        Words after ``plkit``; those of the command line by default.

    Returns
    -------
    int
        Exit code: 0 done, 1 fault of plkit, 2 fault of the input, 130 interrupted.

    Examples
    --------
    >>> main(["info", "nothing-here.nc"])
    2
    """
    words = list(sys.argv[1:] if args is None else args)
    # Taken out here, so that it may stand anywhere on the line.
    debug = "--debug" in words
    words = [w for w in words if w != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # "±" on a terminal that does not know it
    with warnings.catch_warnings():
        _show_warnings_in_one_line(debug)
        return _guarded(words, debug)


def _guarded(words: list[str], debug: bool) -> int:
    from plkit.cli.commands import app

    try:
        app(args=words, prog_name="plkit")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except PlkitError as error:
        if debug:
            _print_traceback(error)
        print(" ".join(str(error).split()), file=sys.stderr)
        return EXIT_INPUT
    except BrokenPipeError:
        # The reader of our output went away ("| head"): nothing to say, and nothing to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAULT
    except OSError as error:
        # A disk that is full, a folder that is none: the user's, and not foreseen where it arose.
        if debug:
            _print_traceback(error)
        where = f"'{error.filename}'" if error.filename else "a file"
        print(f"Cannot go on because {where} cannot be used ({error.strerror}).", file=sys.stderr)
        return EXIT_INPUT
    except Exception as error:
        if debug:
            _print_traceback(error)
        what = " ".join(f"{type(error).__name__}: {error}".split())
        print(
            f"plkit failed unexpectedly ({what}). Run the same command with --debug for the "
            "traceback and report it.",
            file=sys.stderr,
        )
        return EXIT_FAULT
    return 0


def _print_traceback(error: BaseException) -> None:
    import traceback

    traceback.print_exception(error, file=sys.stderr)


def _show_warnings_in_one_line(debug: bool) -> None:
    """Show plkit's warnings as one line each; those of libraries only under --debug."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        where = f" ({category.__name__}, {filename}:{lineno})" if debug else ""
        print(f"warning: {' '.join(str(message).split())}{where}", file=file or sys.stderr)

    if not debug:
        warnings.simplefilter("ignore")
    warnings.simplefilter("always", PlkitWarning)
    warnings.showwarning = show

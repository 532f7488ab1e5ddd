"""Errors that a user can act on: each names the file, what was expected and what to do."""

import functools
import sys
from collections.abc import Callable


class StudyError(Exception):
    """Base of every error this project raises on purpose."""


class InputError(StudyError, ValueError):
    """An input that cannot be used: the message names it, the expectation and the remedy."""


class AssetMissing(StudyError, FileNotFoundError):
    """A file that cannot be shipped and was not found: the message says where it is searched and how to get it."""


class OutputError(StudyError, OSError):
    """A result that could not be written (disk full, no permission): whatever stood under its name is unharmed."""


class LicenceError(StudyError, PermissionError):
    """An asset whose terms do not allow the intended use."""


class InputWarning(UserWarning):
    """An input that was corrected in a documented way before use."""


def command_line(main: Callable[..., int]) -> Callable[..., int]:
    """A command whose StudyErrors become one message on stderr and exit status 1."""
    @functools.wraps(main)
    def reported(*arguments) -> int:
        try:
            return main(*arguments)
        except StudyError as problem:
            print(f"error: {problem}", file=sys.stderr)
            return 1

    return reported


def explain(error: BaseException) -> str:
    """Kind and first line of a dependency's error, short enough to stand inside one of our messages."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__

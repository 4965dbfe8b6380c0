"""The terminal: results go to stdout, everything else to stderr, and nothing that it would obey.

File names, words of somebody else's model and messages of libraries may hold anything; what stdout
can show is for the user's settings to say. Both are seen to here, and only here.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TextIO, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqebm.errors import DataError

_P = ParamSpec("_P")
_T = TypeVar("_T")
_PLAIN: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
_WIDE = 1 << 16  # columns where there is no terminal: as many as a table needs

#: Everything about the work; it is safe to say ``seqebm decode --json | jq``.
messages = Console(stderr=True, soft_wrap=True, **_PLAIN)

# What a terminal obeys, what turns the direction of writing, and halves of characters (bytes of a
# file's name that are not UTF-8). Line feeds and tabs are layout.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_ESCAPING = "seqebm.escape"
_results: TextIO | None = None


def _escape(text: str) -> str:
    return json.dumps(text)[1:-1]


def printable(text: str) -> str:
    """Text with control characters as ``\\u001b``, which is also how JSON writes them."""
    return _UNSAFE.sub(lambda found: _escape(found[0]), text)


def _escape_what_cannot_be_encoded(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return _escape(error.object[error.start : error.end]), error.end


def set_up() -> None:
    """Make the streams and the log ready; the program's first act.

    A stream that was closed leads nowhere, lest the next file that is opened take its place.
    Characters that a stream cannot encode are escaped, so that no answer is lost and JSON stays
    JSON.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    codecs.register_error(_ESCAPING, _escape_what_cannot_be_encoded)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPING)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_Log()])


def finish() -> None:
    """Write what stdout still holds; the program's last act. Raises :class:`SystemExit` with
    status 1 if that fails, with a message unless whoever read has enough."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if _descriptor(sys.stdout) == 1:  # or Python would try once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):
            say(f"error: {_unwritten(error)}", "red")
        raise SystemExit(1) from error


class _Log(logging.Handler):
    """Log records as messages."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            if record.levelno >= logging.WARNING:
                say(f"{record.levelname.lower()}: {text}", "yellow")
            else:
                say(text)
        except Exception:
            self.handleError(record)


@contextlib.contextmanager
def reserve_stdout() -> Iterator[None]:
    """While a command works, stdout is for its results.

    What libraries, plugins and child processes write there goes to stderr, where it cannot come
    between lines of JSON.
    """
    global _results
    stdout = sys.stdout
    with contextlib.ExitStack() as stack:
        _results = stdout
        if _descriptor(stdout) == 1:
            stdout.flush()
            kept = os.dup(1)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, 1)
            os.dup2(2, 1)
            _results = os.fdopen(
                kept, "w", encoding=stdout.encoding, errors=stdout.errors, closefd=False
            )
        stack.callback(_release, stdout)
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def _release(stdout: TextIO) -> None:
    global _results
    if _results is not None and _results is not stdout:
        with contextlib.suppress(OSError):  # it was reported when it was written
            _results.close()
    _results = None


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # as in a test
        return None


def command(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """A command of the program, for which stdout is reserved."""

    @functools.wraps(function)
    def run(*args: _P.args, **options: _P.kwargs) -> _T:
        with reserve_stdout():
            return function(*args, **options)

    return run


def say(text: str, style: str = "") -> None:
    """Print a message, to stderr."""
    messages.print(Text(printable(text), style))


def cell(text: str, style: str = "") -> Text:
    """Text in a table."""
    return Text(printable(text).replace("\n", "\\n"), style)


def show(result: Table | Text) -> None:
    """Print a table (or text with a style) as a result; where there is no terminal it is as wide as
    it needs. Its cells are made with :func:`cell`, or hold nothing of somebody else's."""
    with _writing() as file:
        Console(file=file, width=None if file.isatty() else _WIDE, **_PLAIN).print(result)


def print_line(text: str) -> None:
    """Print text as a result."""
    with _writing() as file:
        file.write(printable(text) + "\n")


def print_json(value: Any, indent: int | None = None) -> None:
    """Print a value as a result: JSON, on one line unless there is an indent."""
    with _writing() as file:
        file.write(printable(json.dumps(value, indent=indent, ensure_ascii=False)) + "\n")


@contextlib.contextmanager
def _writing() -> Iterator[TextIO]:
    file = _results or sys.stdout
    try:
        yield file
        file.flush()
    except BrokenPipeError:  # as in `| head`: whoever read has enough
        raise
    except OSError as error:
        raise DataError(_unwritten(error)) from error


def _unwritten(error: OSError) -> str:
    return f"standard output: {error.strerror or error}; make room, or write to another place"

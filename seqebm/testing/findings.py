"""What a check found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Finding(NamedTuple):
    """One check of a component.

    Attributes:
        name: what was looked at.
        passed: False: the component is at fault, or declares what is not so.
        text: what was found.
    """

    name: str
    passed: bool
    text: str


#: What a check returns: whether it passed, and what was found.
Verdict = tuple[bool, str]


def collect(checks: Iterable[tuple[str, Callable[[], Verdict]]]) -> Iterator[Finding]:
    """Run named checks; one that raises is a fault like any other, and the next one runs."""
    for name, check in checks:
        try:
            passed, text = check()
        except Exception as error:  # whatever a plugin's code raises
            passed, text = False, f"{type(error).__name__}: {error}"
        yield Finding(name, passed, text)

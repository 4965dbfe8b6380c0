"""Names of labels. Label 0 is always epsilon: it reads or writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from seqebm.errors import GraphError
from seqebm.spelling import nearest

EPSILON = 0
EPSILON_NAME = "<eps>"


class Symbols:
    """A two-way table of names and label numbers, in the order in which names were added."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = [EPSILON_NAME]
        self._ids = {EPSILON_NAME: EPSILON}
        for name in names:
            self.add(name)

    def add(self, name: str) -> int:
        """The number of ``name``, which is added if it is new."""
        if name not in self._ids:
            self._ids[name] = len(self._names)
            self._names.append(name)
        return self._ids[name]

    def id(self, name: str) -> int:
        """The number of ``name``. Raises :class:`GraphError` if it is not in the table."""
        if name not in self._ids:
            raise GraphError(f"unknown symbol {name!r}.{nearest(name, self._ids)}")
        return self._ids[name]

    def name(self, label: int) -> str:
        """The name of a label. Raises :class:`GraphError` for a number out of range."""
        if not 0 <= label < len(self._names):
            raise GraphError(f"label {label} has no name: the table has {len(self)} labels")
        return self._names[label]

    def __contains__(self, name: str) -> bool:
        return name in self._ids

    def __iter__(self) -> Iterator[str]:
        """All names but epsilon's: label 1, 2, ..."""
        return iter(self._names[1:])

    def __len__(self) -> int:
        """Number of labels, epsilon not counted; the largest label."""
        return len(self._names) - 1

"""YAML that somebody wrote: a config, what a model file says of itself, ``--set key=value``.

Every package may import this module; it imports nothing but the errors.
"""

from __future__ import annotations

import sys
from typing import Any

from seqebm.errors import ConfigError, SeqebmError

DEPTH = 40  # more levels than any config needs
REPEATED = 10_000  # values that aliases may add to those that are written out


def load_yaml(text: str, where: str, error: type[SeqebmError] = ConfigError) -> Any:
    """What YAML text says. ``where`` is what messages call it; nothing in it is executed.

    Raises ``error`` for what is not YAML, is nested more than 40 deep, or grows by its aliases to
    many times what is written.
    """
    import yaml  # not before a setting is met: `seqebm --help` has no use for it

    class Loader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.depth += 1
            if self.depth > DEPTH:
                raise error(f"{where}: is nested more than {DEPTH} levels deep; make it flatter")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        """How many values a node stands for, with what its aliases repeat."""
        if id(node) not in sizes:
            sizes[id(node)] = sys.maxsize  # of a node that holds itself
            parts = node.value if isinstance(node, yaml.CollectionNode) else ()
            children = (n for p in parts for n in (p if isinstance(p, tuple) else (p,)))
            sizes[id(node)] = 1 + sum(map(size, children))
        return sizes[id(node)]

    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if size(node) > 2 * len(sizes) + REPEATED:
            raise error(f"{where}: its aliases (*name) make it grow without end; write it out")
        return loader.construct_document(node)
    except error:
        raise
    except Exception as fault:  # PyYAML raises many: of dates, numbers, tags, characters
        reason = " ".join(str(fault).split())
        raise error(f"{where}: not valid YAML: {reason[:300]}") from fault


def parse_setting(setting: str, form: str) -> tuple[str, Any]:
    """``"training.epochs=3"`` -> ``("training.epochs", 3)``; the value is YAML.

    Raises :class:`ConfigError`, which shows ``form``, for a setting without ``=`` or without key,
    and for bad YAML.
    """
    key, equals, text = setting.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set {setting!r}: write {form}")
    return key, load_yaml(text, f"--set {setting[:80]!r}")

"""``seqebm plugins``."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqebm.hooks import get_host

app = typer.Typer(invoke_without_command=True)


@app.callback()
def plugins_command(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """List every plugin with its version, state and hooks, and every component it registers."""
    if context.invoked_subcommand:
        return
    host = get_host()
    components = host.registry.all()
    if as_json:
        listing = {
            "plugins": [vars(info) for info in host.plugins],
            "components": [
                {"kind": c.kind, "name": c.name, "plugin": c.plugin, "source": c.source}
                for c in components
            ],
        }
        typer.echo(json.dumps(listing, indent=2))
        return
    console = Console()
    table = Table(
        "plugin", "distribution", "version", "state", title="Plugins", title_justify="left"
    )
    for info in host.plugins:
        state = Text(f"broken: {info.error}", "red") if info.error else f"{len(info.hooks)} hooks"
        table.add_row(Text(info.name), info.distribution, info.version, state)
    console.print(table)
    table = Table("kind", "name", "plugin", "source", title="Components", title_justify="left")
    for component in components:
        table.add_row(component.kind, component.name, Text(component.plugin), component.source)
    console.print(table)

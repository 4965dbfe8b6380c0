"""``seqebm plugins``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from seqebm.cli.terminal import cell, command, print_json, print_line, show
from seqebm.hooks import get_host

app = typer.Typer(invoke_without_command=True)


@app.callback()
@command
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
        print_json(listing, indent=2)
        return
    table = Table(
        "plugin", "distribution", "version", "hooks", title="Plugins", title_justify="left"
    )
    for info in host.plugins:
        hooks = ", ".join(hook.removeprefix("seqebm_") for hook in info.hooks)
        state = cell(f"broken: {info.error}", "red") if info.error else cell(hooks)
        table.add_row(*map(cell, (info.name, info.distribution, info.version)), state)
    show(table)
    table = Table("kind", "name", "plugin", "source", title="Components", title_justify="left")
    for component in components:
        table.add_row(
            *map(cell, (component.kind, component.name, component.plugin, component.source))
        )
    show(table)


@app.command("new")
@command
def new_command(
    name: Annotated[str, typer.Argument(help="What configs will call it: lower case and _.")],
    kind: Annotated[
        str, typer.Option(help="loss, lattice, features, frontend, reader or preparer.")
    ] = "loss",
    output: Annotated[Path, typer.Option(help="Where its directory goes.")] = Path(),
) -> None:
    """Write a plugin that works: a distribution with entry point, options, test and README.

    Example: seqebm plugins new squared_hinge --kind loss
    """
    import seqebm
    from seqebm.cli.plugin_skeleton import write_skeleton

    root = write_skeleton(name, kind, output, seqebm.__version__)
    print_line(
        f"{root} is written. Install it, test it, see it listed:\n"
        f"  pip install -e '{root}[test]'\n  pytest {root}\n  seqebm plugins"
    )


@app.command("check")
@command
def check_command(
    name: Annotated[str, typer.Argument(help="The component, as a config names it.")],
    kind: Annotated[
        str | None, typer.Option(help="losses, lattices, features or frontends, if two share it.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the component: KEY=VALUE.")
    ] = None,
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A file with a plugin that registers it.")
    ] = None,
) -> None:
    """Check a loss, lattice, feature extractor or front-end as seqebm.testing does.

    Shapes, padding, gradients, saving, pickling, speed; of a loss: finite, pushes and pulls the
    right way, good (LeCun & Huang 2005), its declared margin. Exit status 1 if it is at fault.

    Example: seqebm plugins check squared_hinge --plugin local/plugin.py
    """
    from seqebm.errors import ConfigError, SeqebmError
    from seqebm.settings import parse_setting
    from seqebm.testing import CHECKED, check

    host = get_host()
    for path in plugin or []:
        host.load_file(path)
    options = dict(parse_setting(text, "KEY=VALUE, e.g. margin=0.5") for text in setting or [])
    if kind is not None and kind not in CHECKED:
        raise ConfigError(f"--kind {kind}: choose one of {', '.join(CHECKED)}")
    kinds = [k for k in CHECKED if name in host.registry.names(k) and kind in (None, k)]
    if len(kinds) > 1:
        raise ConfigError(f"{name!r} is the name of several: give --kind {' or '.join(kinds)}")
    try:
        findings = check(kinds[0] if kinds else kind or "losses", name, **options)
    except SeqebmError:
        raise
    except Exception as error:  # whatever a plugin's code raises
        raise SeqebmError(f"{name!r}: cannot be evaluated: {error!r}") from error
    table = Table("check", "", "found", box=None, header_style="bold", pad_edge=False)
    for finding in findings:
        mark = cell("ok", "green") if finding.passed else cell("FAULT", "bold red")
        table.add_row(cell(finding.name), mark, cell(finding.text))
    show(table)
    if not all(finding.passed for finding in findings):
        raise typer.Exit(1)

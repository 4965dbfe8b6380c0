"""``seqebm data``: check, mend and prepare data directories."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from seqebm.cli.terminal import cell, command, messages, print_json, print_line, say, show
from seqebm.errors import ConfigError, DataError
from seqebm.settings import parse_setting

if TYPE_CHECKING:
    from seqebm.data import Problem

app = typer.Typer(no_args_is_help=True)
_SHOWN = 50


@app.command("validate")
@command
def validate_command(
    directory: Annotated[Path, typer.Argument(help="A Kaldi data directory.")],
    mend: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended; originals go to .backup/.")
    ] = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="With --fix: drop the utterances that cannot be mended.")
    ] = False,
    check_files: Annotated[
        bool, typer.Option(help="Also read every file, to find the broken ones.")
    ] = True,
    max_seconds: Annotated[
        float, typer.Option(min=0.0, help="Utterances longer than this are a problem.")
    ] = 3600.0,
    reader: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="An option of the reader, as frontend.reader in a config."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Explain every problem of a data directory, and mend what can be mended.

    --fix loses no utterance; those that it cannot mend are dropped with --fix --drop only, and
    named. The exit status is 1 if errors remain; warnings do not count.

    Example: seqebm data validate data/train --fix
    """
    from seqebm.data import droppable, fix, validate

    if drop and not mend:
        raise ConfigError("--drop: only with --fix does it change a directory; give both")
    actions = fix(directory, drop) if mend else []
    progress = Progress(
        *Progress.get_default_columns(),
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    )
    with progress:
        task = progress.add_task("reading files", total=None, visible=check_files)
        problems = validate(
            directory,
            check_files,
            limit=max_seconds,
            options=dict(parse_setting(text, "KEY=VALUE") for text in reader or []),
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    errors = sum(p.severity == "error" for p in problems)
    if as_json:
        listing = [{**vars(p), "file": str(p.file)} for p in problems]
        report = {"directory": str(directory), "actions": actions, "problems": listing}
        print_json(report, indent=2)
    else:
        for action in actions:
            say(action)
        _print(problems, errors, directory)
        if left := droppable(directory):
            say(left)
    if errors:
        raise typer.Exit(1)


def _print(problems: list[Problem], errors: int, directory: Path) -> None:
    if problems:
        table = Table("", "where", "id", "problem", box=None, header_style="bold", pad_edge=False)
        # Errors first: where the table is cut, only warnings should be lost.
        for problem in sorted(problems, key=lambda p: p.severity != "error")[:_SHOWN]:
            line = f":{problem.line}" if problem.line else ""
            hint = " (--fix mends it)" if problem.fixable else ""
            hint = " (--fix --drop drops it)" if problem.droppable else hint
            table.add_row(
                cell(problem.severity, "red" if problem.severity == "error" else "yellow"),
                cell(f"{problem.file.name}{line}"),
                cell(problem.id or ""),
                cell(f"{problem.message}{hint}"),
            )
        show(table)
        if len(problems) > _SHOWN:
            print_line(f"... and {len(problems) - _SHOWN} more; --json lists them all")
    verdict = f"{directory}: {errors} errors, {len(problems) - errors} warnings"
    show(cell(verdict, "red" if errors else "green"))
    if any(p.fixable for p in problems):
        print_line(f"seqebm data validate --fix {directory}")


@app.command("prepare", context_settings={"help_option_names": []})
@command
def prepare_command(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="The preparer; 'seqebm plugins' lists them.")
    ] = None,
    destination: Annotated[
        Path | None, typer.Argument(help="Where the data directories go.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the preparer; a YAML value."),
    ] = None,
    wants_help: Annotated[
        bool,
        typer.Option("--help", "-h", help="Show this; with NAME, the options of that preparer."),
    ] = False,
) -> None:
    """Make data directories from a corpus (or make the corpus).

    Example: seqebm data prepare synthetic_digits data --set seed=1
    """
    from seqebm.hooks import get_host

    if wants_help:
        if name is None:
            print_line(context.get_help())
        else:
            _explain(name)
        return
    if name is None or destination is None:
        raise ConfigError(
            "give NAME and DESTINATION: seqebm data prepare synthetic_digits data (NAME --help "
            "lists the options of a preparer)"
        )
    spec = {"name": name, **parse_options(options or [])}
    prepare = get_host().registry.make("preparers", spec, where="--set")
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    quiet = not messages.is_terminal
    try:
        destination.mkdir(parents=True, exist_ok=True)  # now, not after the work
        with Progress(*columns, console=messages, transient=True, disable=quiet) as progress:
            progress.add_task(f"preparing {name}", total=None)
            prepare(destination)
    except OSError as error:
        place, reason = error.filename or destination, error.strerror or error
        raise DataError(
            f"{place}: could not be written ({reason}); choose another DESTINATION, or make room"
        ) from error
    found = sorted({p.parent for p in destination.rglob("*.scp")})
    for directory in found:
        say(f"prepared {directory}")


def _explain(name: str) -> None:
    """Print what a preparer does and the options that ``--set`` takes."""
    from seqebm.hooks import get_host

    component = get_host().registry.get("preparers", name)
    made = component.load()
    summary = " ".join((made.__doc__ or name).split("\n\n")[0].split())
    print_line(re.sub(r":\w+:`~?([^`]*)`|``([^`]*)``", r"\1\2", summary))
    table = Table("--set", "default", "", box=None, pad_edge=False)
    for key, field in component.options_class().model_fields.items():
        default = "required" if field.is_required() else str(field.get_default())
        table.add_row(*map(cell, (key, default, field.description or "")))
    show(table)


def parse_options(items: list[str]) -> dict[str, Any]:
    """``["a=1", "b=[x, y]"]`` -> ``{"a": 1, "b": ["x", "y"]}``; values are YAML.

    Raises :class:`ConfigError` for an item without ``=``, a key given twice, the key ``name``
    (which names the preparer), or bad YAML.
    """
    values: dict[str, Any] = {}
    for item in items:
        key, value = parse_setting(item, "--set key=value")
        if key in values or key == "name":
            reason = "is given twice" if key in values else "is the argument NAME"
            raise ConfigError(f"--set {item}: {key!r} {reason}")
        values[key] = value
    return values

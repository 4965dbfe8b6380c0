"""The program: commands are mounted here, and every error ends here.

Command modules import torch inside their functions, so that ``--help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler

import seqebm
from seqebm.cli import align, data, decode, diagnose, doctor, export, lm, plugins, score, train
from seqebm.errors import SeqebmError
from seqebm.hooks import get_host

# Results go to stdout, everything about the work to stderr: `seqebm decode --json | jq` is safe.
messages = Console(stderr=True)

app = typer.Typer(
    name="seqebm",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # main() turns every exception into a message
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Recognise sequences (speech, pen ink, handwriting) with energy-based models.\n\n"
    "The usual path: [bold]data prepare[/] or your own Kaldi data directory, "
    "[bold]data validate[/], [bold]train[/], [bold]decode[/], [bold]score[/] (and [bold]align[/]). "
    "[bold]doctor[/] tells whether this machine is ready.",
)
app.add_typer(data.app, name="data", help="Prepare and check data directories.")
app.add_typer(plugins.app, name="plugins", help="List the plugins and what they register.")
app.command("train")(train.train_command)
app.command("decode")(decode.decode_command)
app.command("diagnose")(diagnose.diagnose_command)
app.command("export")(export.export_command)
app.command("align")(align.align_command)
app.command("lm")(lm.lm_command)
app.command("score")(score.score_command)
app.command("doctor")(doctor.doctor_command)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"seqebm {seqebm.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    strict_plugins: Annotated[
        bool, typer.Option("--strict-plugins", help="A broken plugin is an error.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of unexpected errors.")
    ] = False,
    plugin: Annotated[
        list[Path] | None,
        typer.Option("--plugin", help="Load a local plugin file first (may be repeated)."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    logging.getLogger("seqebm").setLevel(logging.DEBUG if verbose else logging.INFO)
    for path in plugin or ():
        get_host().load_file(path)


def _set_up_logging() -> None:
    handler = RichHandler(
        console=messages, show_time=False, show_path=False, markup=False, rich_tracebacks=False
    )
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])


def main() -> None:
    """Run the program; exit status 0, 1 (something the user can mend), 2 (usage, or our bug)."""
    _set_up_logging()
    # Before torch loads: its idle OpenMP threads would spin, and take cores from other programs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Plugins may add commands, so they are loaded before the command line is parsed.
    if "--strict-plugins" in sys.argv:
        os.environ["SEQEBM_STRICT_PLUGINS"] = "1"
    try:
        get_host().hook.seqebm_register_commands(app=app)
        app()  # always raises SystemExit; reports usage errors and interruptions itself
    except SeqebmError as error:
        _fail(f"error: {error}", 1)
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        if isinstance(error, OSError) and error.filename is not None:  # the place is at fault
            reason = error.strerror or type(error).__name__
            _fail(f"error: {os.fsdecode(error.filename)}: {reason}; check the path and its "
                  "permissions", 1)  # fmt: skip
        _fail(
            f"unexpected error: {type(error).__name__}: {error}\n"
            "This should have been a clear message: please report it, with the output of "
            "'seqebm --debug ...' (the option goes before the command).",
            2,
        )


def _fail(message: str, status: int) -> NoReturn:
    messages.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(status)

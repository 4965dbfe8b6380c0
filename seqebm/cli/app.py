"""The program: commands are mounted here, and every error ends here.

Command modules import torch inside their functions, so that ``--help`` answers at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

import seqebm
from seqebm.cli import (
    align,
    combine,
    data,
    decode,
    diagnose,
    doctor,
    enrol,
    export,
    lm,
    plugins,
    score,
    terminal,
    train,
)
from seqebm.errors import SeqebmError
from seqebm.hooks import get_host

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
app.command("train")(terminal.command(train.train_command))
app.command("decode")(terminal.command(decode.decode_command))
app.command("diagnose")(terminal.command(diagnose.diagnose_command))
app.command("enrol")(terminal.command(enrol.enrol_command))
app.command("forget")(terminal.command(enrol.forget_command))
app.command("combine")(terminal.command(combine.combine_command))
app.command("export")(terminal.command(export.export_command))
app.command("align")(terminal.command(align.align_command))
app.command("lm")(terminal.command(lm.lm_command))
app.command("score")(terminal.command(score.score_command))
app.command("doctor")(terminal.command(doctor.doctor_command))


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


def main() -> None:
    """Run the program; exit status 0, 1 (something the user can mend), 2 (usage, or our bug)."""
    terminal.set_up()
    # Before torch loads: its idle OpenMP threads would spin, and take cores from other programs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Plugins may add commands, so they are loaded before the command line is parsed.
    if "--strict-plugins" in sys.argv:
        os.environ["SEQEBM_STRICT_PLUGINS"] = "1"
    try:
        _check_directory()
        with terminal.reserve_stdout(), _interruptible():
            get_host().add_commands(app)
        app()  # always raises SystemExit; reports usage errors and interruptions itself
    except SeqebmError as error:
        _fail(f"error: {error}", 1)
    except Exception as error:
        if "--debug" in sys.argv:
            terminal.say(traceback.format_exc())
        if isinstance(error, OSError) and error.filename is not None:  # the place is at fault
            reason = error.strerror or type(error).__name__
            _fail(f"error: {_name(error.filename)}: {reason}; check the path and its "
                  "permissions", 1)  # fmt: skip
        _fail(
            f"unexpected error: {type(error).__name__}: {error}\n"
            "This should have been a clear message: please report it, with the output of "
            "'seqebm --debug ...' (the option goes before the command).",
            2,
        )
    finally:
        terminal.finish()


def _check_directory() -> None:
    """MKL ends the process where it finds no current directory."""
    try:
        Path.cwd()
    except OSError as error:
        raise SeqebmError(
            "the current directory was removed or cannot be reached; change to another one (cd)"
        ) from error


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """While plugins are loaded Ctrl-C ends the program, for one that raises the same is broken."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _name(filename: Any) -> str:
    return str(filename) if isinstance(filename, int) else os.fsdecode(filename)


def _fail(message: str, status: int) -> NoReturn:
    terminal.say(message, "red")
    sys.exit(status)

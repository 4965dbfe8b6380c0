"""``seqebm doctor``."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.table import Table

from seqebm.cli.terminal import cell, print_json, show


@dataclass
class Check:
    """One line of the report; ``remedy`` is set if something should be done."""

    name: str
    value: str
    remedy: str | None = None
    fatal: bool = False


REQUIRED = (
    "torch",
    "numpy",
    "numba",
    "scipy",
    "lightning_fabric",
    "safetensors",
    "rapidfuzz",
    "matplotlib",
)
OPTIONAL = {
    "torchaudio": "pip install -e plugins/speech  (for speech)",
    "soundfile": "pip install -e plugins/speech  (for speech)",
    "espeakng_loader": "pip install espeakng-loader  (for the synthetic digit corpus)",
    "tensorboard": "pip install tensorboard  (for logger: tensorboard)",
}


def doctor_command(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time the kernels on CPU and GPU (a minute).")
    ] = False,
) -> None:
    """Report versions, devices, threads and plugins, and what is missing with its remedy.

    Exits with 1 if something that seqebm cannot do without is missing.
    """
    checks = [Check("python", sys.version.split()[0]), Check("platform", platform.platform())]
    checks += [_module(name, None) for name in REQUIRED]
    checks += [_module(name, remedy) for name, remedy in OPTIONAL.items()]
    checks += _devices()
    checks += [_threading(), _jit_cache()]
    checks += _plugins()
    if measure:
        checks += _crossover()
    if as_json:
        print_json([vars(check) for check in checks], indent=2)
    else:
        table = Table("", "what", "found", "remedy", box=None, header_style="bold")
        for check in checks:
            mark = cell("ok", "green") if check.remedy is None else cell("--")
            if check.fatal:
                mark = cell("!!", "red")
            table.add_row(mark, *map(cell, (check.name, check.value, check.remedy or "")))
        show(table)
    if any(check.fatal for check in checks):
        raise typer.Exit(1)


def _module(name: str, remedy: str | None) -> Check:
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a broken installation raises anything, not only ImportError
        required = remedy is None
        return Check(
            name, f"missing ({type(error).__name__}: {error})" if required else "not installed",
            remedy or "./tools/setup.sh, or pip install -e .", required,
        )  # fmt: skip
    return Check(name, str(getattr(module, "__version__", "installed")))


def _devices() -> list[Check]:
    try:
        import torch
    except Exception:
        return []
    checks = [Check("cpu", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")]
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        from seqebm.kernels.machine import cuda

        if cuda.available():
            checks.append(Check("cuda", ", ".join(names)))
        else:
            checks.append(
                Check(
                    "cuda", f"{', '.join(names)}, but Numba cannot use it",
                    "install a driver and toolkit that numba.cuda supports (python -m numba -s), "
                    "or set training.accelerator: cpu",
                )
            )  # fmt: skip
    else:
        built = torch.version.cuda
        checks.append(Check("cuda", f"no device (torch built for CUDA {built})" if built else "no"))
    return checks


def _crossover() -> list[Check]:
    """Which device is faster for which kernel and size, as measured now."""
    import torch

    from seqebm.kernels import crossover
    from seqebm.kernels.machine import cuda

    if not cuda.available():
        return [Check("CPU or GPU", "no CUDA device that Numba can use: all runs on the CPU")]
    return [
        Check(
            f"{timing.kernel}: {timing.size}",
            f"CPU {timing.cpu:.2f} ms, GPU {timing.device:.2f} ms: "
            + ("GPU" if timing.faster == "device" else "CPU"),
        )
        for timing in crossover.measure(f"cuda:{torch.cuda.current_device()}")
    ]


def _threading() -> Check:
    try:
        from seqebm.kernels.machine.threads import threading_layer

        return Check("threading layer", threading_layer())
    except Exception as error:
        return Check(
            "threading layer", f"{type(error).__name__}: {error}",
            "pip install --force-reinstall numba", True,
        )  # fmt: skip


def _jit_cache() -> Check:
    """Where compiled kernels are kept. Numba has tried to write there."""
    try:
        from seqebm import compiled
        from seqebm.kernels.trellis import cpu as cpu  # has some
    except Exception as error:
        return Check(
            "kernel cache", f"{type(error).__name__}: {error}",
            "pip install --force-reinstall numba", True,
        )  # fmt: skip
    if None in compiled.places:
        return Check(
            "kernel cache", "none: each start compiles, about half a minute", compiled.REMEDY
        )
    (first, *_) = sorted(place for place in compiled.places if place is not None)
    passing = first.parent == compiled.temporary()
    return Check(
        "kernel cache", f"{first}{', while the machine runs' if passing else ''}",
        compiled.REMEDY if passing else None,
    )  # fmt: skip


def _plugins() -> list[Check]:
    from seqebm.hooks import get_host

    checks = []
    for info in get_host().plugins:
        remedy = f"mend or uninstall {info.distribution}" if info.error else None
        state = info.error or f"{info.distribution} {info.version}"
        checks.append(Check(f"plugin {info.name}", state, remedy))
    return checks

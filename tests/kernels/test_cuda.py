"""CUDA kernels: in the simulator, compiled to PTX, and (marked gpu) on a device."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cuda_cases as cases
import numba
import pytest
import torch

from seqebm.kernels.chain import ops as chain_ops
from seqebm.kernels.machine import cuda
from seqebm.kernels.trellis import cuda as trellis_cuda
from seqebm.kernels.trellis import ops as trellis_ops
from seqebm.kernels.warp import ops as warp_ops

CASES = Path(cases.__file__)
ON_GPU = torch.cuda.is_available()


def run_cases(*arguments: str, simulated: bool) -> subprocess.CompletedProcess[str]:
    """The cases in a process of their own: the simulator is chosen when numba is imported."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_ENABLE_CUDASIM": "01"[simulated]}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env=environment, timeout=300
    )


def test_all_cases_in_the_simulator():
    result = run_cases(simulated=True)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert re.search(r"\d+ passed", result.stdout)


class Compiled(Exception):
    """Raised in place of a launch, once its kernel is compiled."""


CALLS = {
    "trellis_forward_backward": lambda dtype: cases.trellis_sums(dtype),
    "trellis_best": lambda dtype: cases.trellis_paths(dtype),
    "chain_forward_backward": lambda dtype: cases.chain_sums(dtype),
    "chain_best": lambda dtype: cases.chain_paths(dtype),
    "dag_sweep": lambda dtype: cases.dag_sums(dtype),
    "warp_sweep": lambda dtype: cases.warp_sums(dtype),
    "warp_best": lambda dtype: cases.warp_paths(dtype),
}


@pytest.mark.parametrize(
    ("architecture", "dtype"),
    [
        ((8, 0), torch.float32),
        ((9, 0), torch.float32),
        pytest.param((9, 0), torch.float64, marks=pytest.mark.slow),
    ],
    ids=["sm_80", "sm_90", "sm_90-float64"],
)
@pytest.mark.parametrize("name", CALLS)
def test_every_kernel_compiles_to_ptx(name, architecture, dtype, monkeypatch, tmp_path, capsys):
    """The launch code runs up to the launch; then the kernel is compiled for what it was given."""
    found = {}

    def compile_instead(self, shape, *arguments):
        signature = tuple(
            numba.typeof(a.detach().numpy() if isinstance(a, torch.Tensor) else a)
            for a in arguments
        )
        for source, across in ((self.source, False), (self.source_across, True)):
            found[across], _ = cuda.cuda.compile_ptx(source, signature, cc=architecture)
        assert self.source.__name__ == name
        raise Compiled

    monkeypatch.setattr(cuda.Kernel, "launch", compile_instead)
    # Numba asks the current device for which architecture it shall compile what kernels call.
    device = SimpleNamespace(compute_capability=architecture)
    monkeypatch.setattr("numba.cuda.dispatcher.get_current_device", lambda: device)
    with pytest.raises(Compiled):
        CALLS[name](dtype)
    target = f"sm_{architecture[0]}{architecture[1]}"
    for across, text in found.items():
        assert f".target {target}" in text and ".entry" in text
        assert ("cudaCGSynchronize" in text) == across
        if not shutil.which("ptxas"):
            continue
        (path := tmp_path / "kernel.ptx").write_text(text)
        command = ["ptxas", "-v", "-c", f"-arch={target}", f"-maxrregcount={cuda.REGISTERS}"]
        result = subprocess.run(
            [*command, str(path), "-o", os.devnull], capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
        used = max(int(n) for n in re.findall(r"Used (\d+) registers", result.stderr))
        spilled = sum(int(n) for n in re.findall(r"(\d+) bytes spill", result.stderr))
        with capsys.disabled():
            kind = "several blocks an item" if across else "a block an item"
            print(
                f"\n{name} {target} {dtype}, {kind}: {used} registers, {spilled} bytes spilled",
                end="",
            )
        assert used * cuda.MOST_THREADS <= 65536, "a block would not fit"


@pytest.mark.parametrize("across", [1, 3])
def test_a_launch_names_the_device_and_stream_of_its_tensors(across, monkeypatch):
    """All of a launch but the driver, which is replaced by what writes down what it is given."""
    seen = []

    class Compiled:
        def __init__(self, name):
            self.name = name

        def __getitem__(self, configuration):
            return lambda *arguments: seen.append((self.name, configuration, arguments))

    def device(which):
        seen.append(("device", which))
        return contextlib.nullcontext()

    stream = SimpleNamespace(cuda_stream=7)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda which: stream)
    assert cuda.stream_of(torch.device("cuda")) == 7
    monkeypatch.setattr(cuda, "stream_of", lambda device: 8)
    monkeypatch.setattr(torch.cuda, "device", device)
    driver = SimpleNamespace(
        external_stream=lambda number: f"stream {number}",
        as_cuda_array=lambda tensor, sync: (tensor, sync),
    )
    monkeypatch.setattr(cuda, "cuda", driver)
    launched = cuda.Kernel(lambda: None)
    launched.__dict__ |= {"compiled": Compiled("block"), "compiled_across": Compiled("grid")}
    tensor = torch.zeros(2, requires_grad=True)
    launched.launch(cuda.Shape(5, (64, 1), across), 1.5, tensor)
    launched.launch(cuda.Shape(0, (64, 1), across), 1.5, tensor)  # nothing to do
    (_, where), (name, configuration, (number, view)) = seen
    assert where == tensor.device and number == 1.5
    assert name == ("block" if across == 1 else "grid")
    assert configuration == ((5, across), (64, 1), "stream 8")
    # No synchronisation, and no gradient, which Numba would refuse.
    assert view[1] is False and not view[0].requires_grad
    assert view[0].data_ptr() == tensor.data_ptr()


def test_shapes_of_launches(monkeypatch):
    device = torch.device("cuda")
    monkeypatch.setattr(cuda, "processors", lambda _: 132)
    assert cuda.shape(64, 2001, 4, device) == (64, (512, 1), 1)
    assert cuda.shape(1000, 40, 3, device, small=64) == (250, (64, 4), 1)
    one = cuda.shape(1, 100_000, 4, device)
    assert one.blocks == 1 and 1 < one.across <= 132
    assert one.across * one.threads[0] >= 100_000 // 4
    assert cuda.shape(100, 100_000, 4, device).across == 1
    assert cuda.shape(4, 512, 512, device) == (4, (32, 1), 16)  # a dense chain
    assert cuda.shape(0, 5, 1, device).blocks == 0
    monkeypatch.setattr(cuda, "cooperative", lambda: False)
    assert cuda.shape(1, 100_000, 4, device).across == 1


def test_a_tensor_that_numba_cannot_reach_is_refused():
    with pytest.raises(ValueError, match=r"emissions is on meta; .* call emissions\.cpu\(\)"):
        emissions = torch.zeros(1, 2, 1, device="meta")
        chain_ops.best_path(
            emissions, torch.tensor([2]), torch.zeros(1, 1), torch.zeros(1), torch.zeros(1)
        )


@pytest.mark.gpu
@pytest.mark.skipif(not ON_GPU, reason="no CUDA device")
class TestOnDevice:
    """Where there is a GPU."""

    def test_all_cases(self):
        result = run_cases(simulated=False)
        assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]

    @pytest.mark.parametrize("compiled", [False, True])
    @pytest.mark.parametrize("beta", cases.BETAS)
    def test_operators_and_their_gradients(self, beta, compiled):
        """The public functions, called with tensors on the device, against the CPU."""
        for function, arguments, leaves in cases.public_calls(beta):
            results = []
            torch._dynamo.reset()
            for device in ("cpu", "cuda"):
                own = [
                    a.to(device) if isinstance(a, torch.Tensor) and a.is_floating_point() else a
                    for a in arguments
                ]
                for index in leaves:
                    own[index] = own[index].detach().requires_grad_()
                if compiled and device == "cuda":
                    function = torch.compile(function, backend="aot_eager", fullgraph=True)
                value = function(*own)
                value.nan_to_num(posinf=0.0).sum().backward()
                results.append([value.detach().cpu(), *(own[i].grad.cpu() for i in leaves)])
            for one, two in zip(*results, strict=True):
                assert torch.allclose(one, two, atol=1e-5, rtol=1e-4)

    def test_graphs_are_copied_once(self):
        emissions, lengths, packed, graph_of, energies = cases.trellis_case(1, torch.float32)
        before = len(trellis_cuda._on_devices)
        for _ in range(3):
            trellis_ops.free_energy(
                emissions.cuda(), lengths, packed, graph_of, energies.cuda(), 1.0
            )
        assert len(trellis_cuda._on_devices) == before + 1

    def test_side_stream(self):
        """A kernel waits for what its own stream did before, and for nothing else."""
        emissions, lengths, packed, graph_of, energies = cases.trellis_case(1, torch.float32)
        wanted = trellis_ops.free_energy(emissions, lengths, packed, graph_of, energies, 1.0)
        stream = torch.cuda.Stream()
        late = torch.empty(emissions.shape, device="cuda")
        with torch.cuda.stream(stream):
            torch.cuda._sleep(50_000_000)
            late.copy_(emissions, non_blocking=True)
            found = trellis_ops.free_energy(late, lengths, packed, graph_of, energies.cuda(), 1.0)
        stream.synchronize()
        assert torch.allclose(found.cpu(), wanted, atol=1e-4)

    @pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one device")
    def test_second_device(self):
        local = torch.rand(2, 5, 4, device="cuda:1")
        lengths = torch.tensor([5, 4]), torch.tensor([4, 3])
        found = warp_ops.free_energy(local, *lengths, 1.0, "linear")
        assert found.device == local.device
        assert torch.allclose(
            found.cpu(), warp_ops.free_energy(local.cpu(), *lengths, 1.0, "linear"), atol=1e-5
        )

import torch

from seqebm.hooks import get_host
from seqebm.testing import assert_sound, check


def test_it_is_sound():
    assert_sound(check("lattices", "spelling", penalty=0.5))


def test_a_string_is_read_from_its_frames():
    lattice = get_host().registry.make(
        "lattices", {"name": "spelling"}, "lattice", input_dim=2, vocabulary=("a", "b")
    )
    with torch.no_grad():
        lattice.linear.weight.copy_(3 * torch.eye(2))
    frames = torch.eye(2)[[0, 0, 1, 1, 1]][None]
    best = lattice.meet(frames, torch.tensor([5])).best()[0][0]
    assert lattice.text(best.value) == "a b"

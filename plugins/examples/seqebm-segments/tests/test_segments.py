import torch

from seqebm.hooks import get_host
from seqebm.testing import assert_sound, check


def test_it_is_sound():
    assert_sound(check("lattices", "segments", count=3))


def test_a_word_is_known_by_the_order_of_its_parts():
    spec = {"name": "segments", "count": 2}
    lattice = get_host().registry.make(
        "lattices", spec, "lattice", input_dim=1, vocabulary=("up", "down")
    )
    up = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    lattice.initialise([up, up.flip(0)], ["up", "down"])
    longer = up.repeat_interleave(2, 0)[None]
    energies = lattice.energies(longer, torch.tensor([8]), 1.0)
    assert energies[0].tolist() == [0.0, 1.0]

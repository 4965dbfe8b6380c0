import pytest
import torch

from seqebm.hooks import Terms, get_host
from seqebm.testing import assert_sound, check


def make(**options):
    return get_host().registry.make("losses", {"name": "focal", **options}, "loss")


def test_it_is_sound():
    assert_sound(check("losses", "focal"))


def test_gamma_0_is_nll():
    c, f = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 1.9])
    terms = Terms(c, f, torch.full((2,), torch.nan), 1.0)
    assert make(gamma=0)(terms).tolist() == pytest.approx((c - f).tolist())
    assert (make()(terms) < c - f).all()

"""Feature extractors: shapes, options, and above all that padding never leaks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import ConfigError
from seqebm.features.masking import MaskedBatchNorm, MaskedInstanceNorm
from seqebm.hooks import get_host
from seqebm.lengths import valid_frames


def make(name: str, input_dim: int = 6, **options):
    spec = {"name": name, **options}
    return get_host().registry.make("features", spec, "features", input_dim=input_dim)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    norm=st.sampled_from(["batch", "layer", "instance", "none"]),
    strides=st.sampled_from([(1, 1), (2, 1), (2, 3)]),
    residual=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_padding_does_not_leak(lengths, norm, strides, residual, seed):
    torch.manual_seed(seed)
    model = make(
        "tdnn", channels=8, kernels=(3, 5), dilations=(1, 2), strides=strides, output_dim=4,
        norm=norm, input_norm=norm, output_norm=norm, residual=residual,
    ).double().eval()  # fmt: skip
    longest = max(lengths) + int(torch.randint(0, 9, ()))
    frames = torch.randn(len(lengths), longest, 6, dtype=torch.float64) * 10
    out, out_lengths = model(frames, torch.tensor(lengths))
    for i, length in enumerate(lengths):
        alone, alone_length = model(frames[i : i + 1, :length], torch.tensor([length]))
        assert alone_length.item() == out_lengths[i].item() == alone.shape[1]
        torch.testing.assert_close(out[i, : out_lengths[i]], alone[0], atol=1e-9, rtol=1e-9)


def test_output_length_is_the_ceiling_of_the_strides():
    model = make("tdnn", strides=(2, 1, 2))
    out, lengths = model(torch.randn(2, 9, 6), torch.tensor([9, 4]))
    assert out.shape == (2, 3, 48) and lengths.tolist() == [3, 1] and model.subsampling == 4


def test_batch_norm_statistics_leave_padding_out():
    norm = MaskedBatchNorm(3, momentum=1.0)
    x = torch.randn(2, 3, 10)
    lengths = torch.tensor([10, 4])
    valid = valid_frames(lengths, 10)
    out = norm(x, valid)
    frames = torch.cat([x[0].T, x[1, :, :4].T])
    torch.testing.assert_close(norm.running_mean, frames.mean(0))
    torch.testing.assert_close(norm.running_var, frames.var(0))
    assert torch.equal(out[1, :, 4:], torch.zeros(3, 6))


def test_instance_norm_normalises_each_item():
    x = torch.randn(1, 2, 12) * 7 + 3
    out = MaskedInstanceNorm(2)(x, valid_frames(torch.tensor([9]), 12))[0, :, :9]
    torch.testing.assert_close(out.mean(1), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(1, unbiased=False), torch.ones(2), atol=1e-3, rtol=0)


def test_identity_hands_frames_on():
    frames, lengths = torch.randn(2, 5, 6), torch.tensor([5, 3])
    out, out_lengths = make("identity")(frames, lengths)
    assert out is frames and out_lengths is lengths


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernals": [3]}, r"features.kernals: unknown key. Did you mean 'kernels'"),
        ({"kernels": [4]}, "odd"),
        ({"kernels": [3, 3], "strides": [2]}, "strides has 1 entries, but kernels has 2"),
        ({"norm": "batchnorm"}, "features.norm"),
        ({"dropout": 1.5}, r"features.dropout.*got 1.5"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        make("tdnn", **options)

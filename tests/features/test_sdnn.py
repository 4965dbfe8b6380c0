"""The space-displacement network: padding never leaks, and it is the same all along the image."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import ConfigError
from seqebm.hooks import get_host


def make(name: str = "sdnn", input_dim: int = 3 * 7, **options):
    spec = {"name": name, **options}
    return get_host().registry.make("features", spec, "features", input_dim=input_dim)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    norm=st.sampled_from(["batch", "layer", "instance", "none"]),
    pools=st.sampled_from([[(1, 1), (1, 1)], [(2, 2), (2, 1)], [(3, 2), (1, 3)], [(1, 4), (4, 2)]]),
    strides=st.sampled_from([(1, 1), (2, 1)]),
    residual=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_padding_does_not_leak(lengths, norm, pools, strides, residual, seed):
    torch.manual_seed(seed)
    model = make(
        planes=3, maps=[4, 6], pools=pools, channels=8, kernels=(5, 3), strides=strides,
        output_dim=4, norm=norm, residual=residual,
    ).double()  # fmt: skip
    longest = max(lengths) + int(torch.randint(0, 9, ()))
    frames = torch.randn(len(lengths), longest, 21, dtype=torch.float64) * 10
    model(frames, torch.tensor(lengths))  # running statistics
    model.eval()
    out, out_lengths = model(frames, torch.tensor(lengths))
    for i, length in enumerate(lengths):
        alone, alone_length = model(frames[i : i + 1, :length], torch.tensor([length]))
        assert alone_length.item() == out_lengths[i].item() == alone.shape[1]
        assert alone_length.item() == -(-length // model.subsampling)
        torch.testing.assert_close(out[i, : out_lengths[i]], alone[0], atol=1e-9, rtol=1e-9)


def test_statistics_in_training_leave_padding_out():
    torch.manual_seed(0)
    model = make(planes=3, dropout=0.0).double().train()
    frames = torch.randn(2, 12, 21, dtype=torch.float64)
    lengths = torch.tensor([12, 12])
    wide = torch.cat([frames, torch.full((2, 9, 21), 1e3, dtype=torch.float64)], dim=1)
    out, _ = model(frames, lengths)
    padded, _ = model(wide, lengths)
    torch.testing.assert_close(out, padded[:, : out.shape[1]])


def test_a_step_to_the_right_is_a_step_later():
    torch.manual_seed(1)
    model = make(planes=3, pools=[(2, 2), (2, 2)], maps=[4, 4]).double().eval()
    step = model.subsampling
    image = torch.zeros(1, 80, 21, dtype=torch.float64)
    image[:, 32:44] = torch.randn(12, 21, dtype=torch.float64)
    moved = image.roll(step, 1)
    length = torch.tensor([80])
    out, later = model(image, length)[0], model(moved, length)[0]
    assert step == 4 and out.shape[1] == 20
    torch.testing.assert_close(out[:, 4:14], later[:, 5:15])
    assert not torch.allclose(out[:, 8:10], later[:, 8:10])


@pytest.mark.parametrize("training", [True, False])
def test_one_plane_pooled_over_rows_is_the_convtdnn(training):
    torch.manual_seed(2)
    options = {"maps": [4, 6], "channels": 8, "kernels": (5, 3), "dropout": 0.0}
    ours = make(input_dim=11, planes=1, pools=[(2, 1), (3, 1)], **options).double()
    peer = make("convtdnn", input_dim=11, pools=[2, 3], **options).double()
    ours.load_state_dict(peer.state_dict())
    frames, lengths = torch.randn(3, 14, 11, dtype=torch.float64), torch.tensor([14, 9, 1])
    ours.train(training)
    peer.train(training)
    out, out_lengths = ours(frames, lengths)
    expected, expected_lengths = peer(frames, lengths)
    torch.testing.assert_close(out, expected)
    assert torch.equal(out_lengths, expected_lengths)


def test_planes_lie_one_after_another_in_a_frame():
    model = make(
        input_dim=6, planes=2, maps=[1], pools=[(1, 1)], map_kernel=1, kernels=(1,),
        norm="none", channels=3, output_dim=None,
    ).eval()  # fmt: skip
    with torch.no_grad():
        model.convolutions[0].weight.copy_(torch.tensor([10.0, 1.0]).view(1, 2, 1, 1))
        model.convolutions[0].bias.zero_()
        model.tdnn.convolutions[0].weight.copy_(torch.eye(3)[:, :, None])
        model.tdnn.convolutions[0].bias.zero_()
    frame = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]])
    out, _ = model(frame, torch.tensor([1]))
    assert out.tolist() == [[[14.0, 25.0, 36.0]]]


def test_a_word_costs_little():
    from torch.utils.flop_counter import FlopCounterMode

    model = make(input_dim=5 * 24).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(1, 120, 120), torch.tensor([120]))
    assert counter.get_total_flops() / 2 < 25e6  # a multiply-add counts as two


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"planes": 4}, "features.planes: 21 features per frame are not 4 planes"),
        ({"planes": 3, "maps": [4]}, "maps has 1 entries, but pools 3"),
        ({"planes": 3, "pools": [(0, 1)], "maps": [4]}, r"pools.0.0: .* greater"),
        ({"planes": 3, "map_kernel": 2}, "map_kernel must be odd"),
        ({"planes": 3, "kernels": []}, "kernels must not be empty"),
        ({"planes": 3, "kernels": [2]}, "odd"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        make(**options)

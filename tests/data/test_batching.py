import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from seqebm.data import DataDir, Example, LengthBucketedSampler, SignalDataset, collate
from seqebm.errors import DataError

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    lengths=LENGTHS,
    items=st.integers(1, 9),
    frames=st.none() | st.integers(500, 3000),
    waste=st.floats(0, 0.9),
    shuffle=st.booleans(),
    epoch=st.integers(0, 5),
)
def test_batches_keep_every_bound_and_every_item(lengths, items, frames, waste, shuffle, epoch):
    sampler = LengthBucketedSampler(lengths, items, frames, waste, shuffle=shuffle, seed=3)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(sampler) == len(batches)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        sizes = [lengths[i] for i in batch]
        padded = max(sizes) * len(sizes)
        assert len(batch) <= items
        assert frames is None or padded <= frames
        assert padded - sum(sizes) <= waste * padded + 1e-9


def test_epochs_differ_and_repeat():
    lengths = np.random.default_rng(0).integers(50, 100, 200)

    def batches(epoch, seed=1):
        sampler = LengthBucketedSampler(lengths, 8, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert batches(2) == batches(2)
    assert batches(2) != batches(3)
    assert batches(2, seed=2) != batches(2)
    # Not only the order of the batches changes, but also who is with whom.
    as_sets = [{frozenset(b) for b in batches(epoch)} for epoch in (2, 3)]
    assert len(as_sets[0] & as_sets[1]) < 5


def test_one_sampler_goes_from_epoch_to_epoch():
    sampler = LengthBucketedSampler(range(50, 250), 8, seed=1)
    seen = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        seen.append(list(sampler))
    assert seen[0] == seen[2] != seen[1]


def test_resuming_within_an_epoch():
    sampler = LengthBucketedSampler(range(1, 101), 8, seed=1)
    sampler.set_epoch(4)
    whole = list(sampler)
    sampler.set_epoch(4, skip=5)
    assert list(sampler) == whole[5:]
    assert len(sampler) == len(whole) - 5


def test_batches_are_full_where_lengths_allow():
    lengths = np.random.default_rng(0).integers(4000, 8000, 1000)
    sampler = LengthBucketedSampler(lengths, 32)
    assert len(sampler) <= 1.2 * 1000 / 32


def test_processes_share_the_work():
    parts = [
        list(LengthBucketedSampler(range(1, 102), 7, seed=1, rank=rank, world=3))
        for rank in range(3)
    ]
    assert len({len(part) for part in parts}) == 1
    assert {i for part in parts for batch in part for i in batch} == set(range(101))


@pytest.mark.parametrize(
    ("options", "error", "part"),
    [
        ({"max_items": 0}, ValueError, "max_items"),
        ({"max_waste": 1.0}, ValueError, "max_waste"),
        ({"rank": 1}, ValueError, "rank"),
        ({"lengths": []}, DataError, "no items"),
        ({"lengths": [3, 0]}, DataError, "item 1 has no frames"),
        ({"max_frames": 5}, DataError, "item 1 has 6 frames"),
    ],
)
def test_what_cannot_be_sampled(options, error, part):
    with pytest.raises(error, match=part):
        LengthBucketedSampler(**{"lengths": [3, 6], "max_items": 2, **options})


def test_collate_pads_with_zeros():
    batch = collate(
        [
            Example("a", torch.tensor([1.0, 2.0, 3.0]), "one", "s"),
            Example("b", torch.tensor([4.0])),
        ]
    )
    assert batch.signal.tolist() == [[1, 2, 3], [4, 0, 0]]
    assert batch.signal.dtype == torch.float32
    assert batch.lengths.tolist() == [3, 1]
    assert batch.lengths.dtype == torch.int64
    assert (batch.targets, batch.ids, batch.speakers) == (["one", ""], ["a", "b"], ["s", ""])
    assert len(batch) == 2


def test_collate_of_points():
    batch = collate([Example("a", torch.ones(3, 2)), Example("b", torch.ones(1, 2))])
    assert batch.signal.shape == (2, 3, 2)
    assert batch.signal.sum() == 8


def test_collate_names_the_odd_one():
    with pytest.raises(DataError, match=r"b has signal shape \(2, 3\), but a has \(4, 2\)"):
        collate([Example("a", torch.ones(4, 2)), Example("b", torch.ones(2, 3))])
    with pytest.raises(DataError, match="b: the signal has no samples"):
        collate([Example("a", torch.ones(4)), Example("b", torch.ones(0))])
    with pytest.raises(DataError, match="at least one"):
        collate([])


def test_dataset_reads_once_and_serves_a_loader(make_dir, reader, pool):
    directory = make_dir(text="a one\nb two\nc one\n", utt2spk="a s\nb s\nc t\n")
    data = SignalDataset(DataDir.load(directory), 8000, readers=pool)
    assert data.lengths.tolist() == [100, 101, 102]
    sampler = LengthBucketedSampler(data.lengths, 2, seed=1)
    seen = {}
    for _ in range(2):
        for batch in DataLoader(data, batch_sampler=sampler, collate_fn=collate):
            for row, length, name, target in zip(
                batch.signal, batch.lengths, batch.ids, batch.targets, strict=True
            ):
                seen[name] = (float(row[0]), int(length), target)
    assert seen == {"a": (0, 100, "one"), "b": (1, 101, "two"), "c": (2, 102, "one")}
    assert reader.reads == ["a", "b", "c"]


def test_the_cache_is_bounded(make_dir, reader, pool):
    data = SignalDataset(DataDir.load(make_dir()), 8000, readers=pool, cache_bytes=4 * 205)
    assert data.cached_bytes == 4 * 201  # a and b
    reader.reads.clear()
    for _ in range(2):
        assert [len(data[i].signal) for i in range(3)] == [100, 101, 102]
    assert reader.reads == ["c", "c"]


def spoil(directory):
    (directory / "a.f32").write_bytes(b"bad")
    (directory / "b.f32").write_bytes(b"")
    np.array([0, np.nan], np.float32).tofile(directory / "c.f32")


def test_all_bad_utterances_are_named_at_once(make_dir, reader, pool):
    directory = make_dir("abcd")
    spoil(directory)
    with pytest.raises(DataError) as caught:
        SignalDataset(DataDir.load(directory), 8000, readers=pool)
    message = str(caught.value)
    assert "3 of 4 utterances" in message
    for part in ("  a: ", "not audio", "  b: ", "no samples", "  c: ", "NaN"):
        assert part in message


def test_bad_utterances_can_be_skipped(make_dir, reader, pool, caplog):
    directory = make_dir("abcd")
    spoil(directory)
    with caplog.at_level(logging.WARNING):
        data = SignalDataset(DataDir.load(directory), 8000, readers=pool, on_bad="skip")
    assert [u.id for u in data.utterances] == ["d"]
    assert sorted(data.bad) == ["a", "b", "c"]
    assert len(data) == len(data.lengths) == 1
    assert data[0].id == "d"
    assert "3 of 4" in caplog.text


def test_skipping_everything_is_an_error(make_dir, reader, pool):
    directory = make_dir()
    spoil(directory)
    with pytest.raises(DataError, match="Nothing is left"):
        SignalDataset(DataDir.load(directory), 8000, readers=pool, on_bad="skip")


def test_the_limit_and_an_extra_check(make_dir, reader, pool):
    data = DataDir.load(make_dir())

    def check(utterance, target):
        return f"no {target} in it" if utterance.id == "a" else None

    dataset = SignalDataset(data, 8000, readers=pool, on_bad="skip", check=check)
    assert dataset.bad == {"a": "no None in it"}
    dataset = SignalDataset(data, 8000, readers=pool, on_bad="skip", limit=101 / 8000)
    assert list(dataset.bad) == ["c"]

"""What the plugin registers passes the checks that anybody's plugin does."""

import pytest

import seqebm
from seqebm.hooks import get_host
from seqebm.testing import assert_sound, check, check_reader

pytest_plugins = ["seqebm.testing.fixtures"]


@pytest.mark.parametrize("name", ["logmel", "mfcc"])
def test_frontends(name):
    assert_sound(check("frontends", name, rate=8000))


def test_the_reader_of_audio(spoken_tones, tmp_path):
    reader = get_host().registry.make("readers", {"name": "audio"}, "readers")
    path = seqebm.DataDir.load(spoken_tones).utterances[0].path
    assert_sound(check_reader(reader, path, 8000, tmp_path))


def test_the_fixtures_suit_a_model(seqebm_host, spoken_tones, tmp_path):
    config = seqebm.parse_config(
        {
            "frontend": {"name": "logmel", "rate": 8000, "mels": 16},
            "features": {"name": "tdnn", "channels": 12, "kernels": [3, 3], "output_dim": 8},
            "lattice": {"name": "templates", "count": 2, "length": 4},
            "inference": {"beta": 10.0},
            "loss": "nll",
            "training": {"epochs": 8, "batch_size": 8, "threads": 1, "learning_rate": 0.01},
        }
    )
    model = seqebm.train(config, spoken_tones, tmp_path)
    data = seqebm.DataDir.load(spoken_tones)
    answers = seqebm.recognise(model, data)
    right = [a.text == u.text for a, u in zip(answers, data.utterances, strict=True)]
    assert sum(right) > 18, "of 24; chance is 8"

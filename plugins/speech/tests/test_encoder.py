"""The front-end ``encoder``, with small random encoders of the real classes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from seqebm_speech.encoder import Encoder
from seqebm_speech.options import EncoderOptions
from torch import nn

from seqebm.data import Utterance, write_data_dir
from seqebm.decoding.decoder import recognise_utterances
from seqebm.errors import ConfigError, DataError, ModelError
from seqebm.models import Recognizer, load_config
from seqebm.models.config import parse_config
from seqebm.testing import assert_sound, check
from seqebm.training import train

STRIDES = [(8, 10, 5), (8, 8, 8), (8, 4, 4)]  # width, kernel, stride: 10 ms at 16 kHz
WIDTH, LAYERS = 16, 3


def small(model_type="Wav2Vec2", norm="group_norm"):
    """Parameters of torchaudio's wav2vec 2.0 or WavLM, of 3 layers of 16."""
    parameters = {
        "extractor_mode": norm, "extractor_conv_layer_config": STRIDES,
        "extractor_conv_bias": False, "encoder_embed_dim": WIDTH,
        "encoder_projection_dropout": 0.1, "encoder_pos_conv_kernel": 8,
        "encoder_pos_conv_groups": 4, "encoder_num_layers": LAYERS, "encoder_num_heads": 2,
        "encoder_attention_dropout": 0.1, "encoder_ff_interm_features": 24,
        "encoder_ff_interm_dropout": 0.1, "encoder_dropout": 0.1,
        "encoder_layer_norm_first": False, "encoder_layer_drop": 0.1, "aux_num_out": None,
    }  # fmt: skip
    if model_type == "WavLM":
        parameters |= {"encoder_num_buckets": 8, "encoder_max_distance": 16}
    return parameters


@pytest.fixture(params=["Wav2Vec2", "WavLM"])
def bundle(request, monkeypatch, tmp_path):
    """A bundle of the real class, its weights where torch.hub keeps what it downloaded."""
    kind = type(torchaudio.pipelines.WAV2VEC2_BASE)
    parameters = small(request.param)
    made = kind("tiny.pth", parameters, 16000, True, request.param)
    monkeypatch.setattr(torchaudio.pipelines, "TINY", made, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    build = torchaudio.models.wav2vec2_model
    if request.param == "WavLM":
        build = torchaudio.models.wavlm_model
    torch.manual_seed(3)
    weights = build(**parameters).state_dict()
    place = tmp_path / "torch" / "hub" / "checkpoints"
    place.mkdir(parents=True)
    torch.save(weights, place / "tiny.pth")
    return weights


@pytest.fixture
def directory(tmp_path):
    """A directory as ``save_pretrained`` writes it."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(4)
    config = transformers.Wav2Vec2Config(
        hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=2, intermediate_size=24,
        conv_dim=[8, 8, 8], conv_kernel=[10, 8, 4], conv_stride=[5, 8, 4],
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    model = transformers.Wav2Vec2Model(config)
    model.save_pretrained(tmp_path / "hf")
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(tmp_path / "hf")
    return tmp_path / "hf", model.eval()


def waves(*seconds):
    torch.manual_seed(0)
    signals = [torch.randn(round(s * 16000)) for s in seconds]
    return nn.utils.rnn.pad_sequence(signals, batch_first=True), torch.tensor([*map(len, signals)])


def test_a_bundle_gives_what_torchaudio_gives(bundle):
    front = Encoder(EncoderOptions(bundle="TINY", layers=(2,)))
    front.fit(iter(()))
    reference = torchaudio.pipelines.TINY.get_model()  # public: normalises its waveforms itself
    signal, lengths = waves(0.7)
    frames, counts = front.eval()(signal, lengths)
    expected = nn.functional.layer_norm(reference.extract_features(signal)[0][1], (WIDTH,))
    assert torch.allclose(frames, expected, atol=1e-3)
    assert counts.tolist() == [expected.shape[1]]
    assert front.rate == 16000 and front.output_dim == WIDTH
    assert front.frame_shift == pytest.approx(0.01)


def test_a_directory_gives_what_transformers_gives(directory):
    path, reference = directory
    front = Encoder(EncoderOptions(huggingface=str(path), layers="last"))
    front.fit(iter(()))
    signal, lengths = waves(0.7)
    frames, _ = front.eval()(signal, lengths)
    scaled = (signal - signal.mean()) / signal.std(correction=0)
    expected = nn.functional.layer_norm(reference(scaled).last_hidden_state, (WIDTH,))
    assert torch.allclose(frames, expected, atol=1e-3)


def test_layers_are_mixed_with_learned_weights(bundle):
    every = Encoder(EncoderOptions(bundle="TINY")).eval()
    one = [Encoder(EncoderOptions(bundle="TINY", layers=(k,))).eval() for k in (1, -2, 3)]
    for front in (every, *one):
        front.fit(iter(()))
    signal, lengths = waves(0.5)
    with torch.no_grad():
        every.mixture.copy_(torch.tensor([0.2, 0.5, 0.3]).log())
    parts = [front(signal, lengths)[0] for front in one]
    mixed = 0.2 * parts[0] + 0.5 * parts[1] + 0.3 * parts[2]
    assert torch.allclose(every(signal, lengths)[0], mixed, atol=1e-5)
    every(signal, lengths)[0].square().sum().backward()
    assert every.mixture.grad is not None
    assert all(p.grad is None for p in every.encoder.parameters())  # frozen


def test_padding_and_company_change_nothing(bundle):
    """Group normalisation over time would let padding in, if items were not apart."""
    front = Encoder(EncoderOptions(bundle="TINY")).eval()
    signal, lengths = waves(0.31, 0.8, 0.31, 0.02)
    together, counts = front(signal, lengths)
    for i, n in enumerate(lengths.tolist()):
        alone, count = front(signal[i : i + 1, :n], lengths[i : i + 1])
        assert count.item() == counts[i].item()
        assert torch.allclose(together[i, : counts[i]], alone[0], atol=1e-5)
        assert not together[i, counts[i] :].any()


def test_the_conformance_checks_pass(bundle):
    for more in ({}, {"frozen": False, "endpoint": {}}):
        findings = check("frontends", "encoder", bundle="TINY", **more)
        # torch does not pickle the weight normalisation of these encoders; models are not pickled
        assert_sound([f for f in findings if f.name != "pickle"])


def test_fine_tuning_reaches_the_encoder(bundle):
    front = Encoder(EncoderOptions(bundle="TINY", frozen=False))
    assert front.training and front.encoder.training
    front(*waves(0.4, 0.5))[0].square().sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in front.encoder.parameters())


def test_a_frozen_encoder_has_no_dropout(bundle):
    front = Encoder(EncoderOptions(bundle="TINY", augment={"enabled": False})).train()
    signal, lengths = waves(0.4)
    assert torch.equal(front(signal, lengths)[0], front(signal, lengths)[0])


def test_the_end_pointer_finds_the_word(bundle):
    front = Encoder(EncoderOptions(bundle="TINY", endpoint={})).eval()
    word = waves(0.5)[0][0]
    around = torch.cat([torch.zeros(8000), word, torch.zeros(16000)])
    _, counts = front(around[None], torch.tensor([len(around)]))
    assert 0.5 <= counts.item() * front.frame_shift <= 0.75
    spans = front.frame_spans(around)
    assert spans.shape == (counts.item(), 2)
    assert 0.35 <= spans[0, 0] <= 0.5 and 1.0 <= spans[-1, 1] <= 1.15


def corpus(path):
    """Two words, high and low, that any features tell apart."""
    rng = np.random.default_rng(0)
    utterances = []
    (path / "wav").mkdir(parents=True)
    for i in range(12):
        word, pitch = (("low", 200), ("high", 2000))[i % 2]
        time = np.arange(8000) / 16000
        signal = 0.3 * np.sin(2 * np.pi * pitch * time) + 0.01 * rng.standard_normal(8000)
        file = path / "wav" / f"u{i}.wav"
        soundfile.write(file, signal, 16000)
        utterances.append(Utterance(f"u{i}", file, word, f"s{i % 3}"))
    write_data_dir(path, utterances)
    return path


CONFIG = """
frontend:
  name: encoder
  {encoder}
features: {{name: tdnn, channels: 8, kernels: [3], strides: [1], output_dim: 8}}
lattice: {{name: templates, count: 1, length: 4}}
loss: nll
training: {{epochs: 2, batch_size: 4, learning_rate: 0.01, average: 0.5}}
"""


@pytest.mark.parametrize("frozen", [True, False])
def test_a_trained_model_needs_neither_network_nor_directory(directory, tmp_path, frozen):
    path, reference = directory
    data = corpus(tmp_path / "data")
    config = tmp_path / "c.yaml"
    config.write_text(
        CONFIG.format(encoder=f"huggingface: {path}\n  frozen: {str(frozen).lower()}")
    )
    model = train(load_config(config), data, tmp_path / "exp")
    before = [r.text for r in recognise_utterances(model, list(corpus_of(data)))]
    kept = model.frontend.encoder.network.state_dict()
    same = all(torch.equal(kept[k], v) for k, v in reference.state_dict().items())
    assert same == frozen
    for file in path.iterdir():
        file.unlink()
    again = Recognizer.load(tmp_path / "exp")
    assert [r.text for r in recognise_utterances(again, list(corpus_of(data)))] == before


def corpus_of(path):
    from seqebm.data import DataDir

    return DataDir.load(path)


def test_weights_that_cannot_be_had_are_explained(bundle, monkeypatch, tmp_path):
    front = Encoder(EncoderOptions(bundle="TINY"))

    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    (tmp_path / "torch" / "hub" / "checkpoints" / "tiny.pth").unlink()
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(DataError, match=r"cannot be downloaded \(no route.*frontend\.weights"):
        front.fit(iter(()))


def test_weights_of_a_file_are_taken(bundle, tmp_path):
    torch.save(bundle, tmp_path / "w.pt")
    front = Encoder(EncoderOptions(bundle="TINY", weights=tmp_path / "w.pt"))
    front.fit(iter(()))
    kept = front.encoder.network.state_dict()
    assert all(torch.equal(kept[k], v) for k, v in bundle.items())


@pytest.mark.parametrize("content", [b"", b"not weights", None])
def test_damaged_weights_are_named(bundle, tmp_path, content):
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"w\.safetensors: no weights can be read"):
        Encoder(EncoderOptions(bundle="TINY", weights=path)).fit(iter(()))


def test_weights_of_another_encoder_are_refused(bundle, tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(DataError, match=r"w\.pt: these weights do not fit"):
        Encoder(EncoderOptions(bundle="TINY", weights=tmp_path / "w.pt")).fit(iter(()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bundle": "NOBODY"}, "no encoder 'NOBODY'; it has .*WAV2VEC2_BASE"),
        ({"bundle": "TACOTRON2_WAVERNN_CHAR_LJSPEECH"}, "no encoder"),
        ({"bundle": "TINY", "layers": [4]}, "no layer 4; the encoder has 3"),
        ({"bundle": "TINY", "layers": [0]}, "no layer 0"),
        ({"bundle": "TINY", "layers": "first"}, "must be all, last"),
        ({"bundle": "TINY", "module": "torch.nn:Identity"}, "exactly one"),
        ({}, "exactly one of bundle, huggingface and module"),
        ({"module": "nowhere:Encoder"}, "'nowhere:Encoder' cannot be imported"),
        ({"module": "os:system", "arguments": {"command": "true"}}, "no class of torch modules"),
        ({"module": "torch.nn:Linear"}, "refuses them"),
        ({"module": "torch.nn:Identity"}, r"must make \(B, T, D\)"),
    ],
)
def test_wrong_options_are_explained(bundle, options, message):
    config = {
        "frontend": {"name": "encoder", **options}, "features": "identity",
        "lattice": {"name": "templates", "length": 4}, "loss": "nll",
    }  # fmt: skip
    with pytest.raises(ConfigError, match=message):
        Recognizer(parse_config(config, "test"), ("a", "b"))


def test_layers_are_counted_alike(directory):
    path, reference = directory
    front = Encoder(EncoderOptions(huggingface=str(path), layers=(2,)))
    front.fit(iter(()))
    assert front.eval()._probe()[0] == LAYERS
    signal, lengths = waves(0.5)
    scaled = (signal - signal.mean()) / signal.std(correction=0)
    states = reference(scaled, output_hidden_states=True).hidden_states  # before, and 3 layers
    expected = nn.functional.layer_norm(states[2], (WIDTH,))
    assert torch.allclose(front(signal, lengths)[0], expected, atol=1e-3)


def test_weights_that_are_not_all_there_are_refused(directory):
    from safetensors.torch import load_file, save_file

    path, _ = directory
    tensors = load_file(path / "model.safetensors")
    few = {k: v for k, v in tensors.items() if ".layers.1." not in k}
    assert 0 < len(few) < len(tensors)
    save_file(few, path / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"lack [0-9]+ tensors of the encoder \(encoder\.layers\.1"):
        Encoder(EncoderOptions(huggingface=str(path))).fit(iter(()))


@pytest.mark.parametrize("kind", ["detr", "moshi", "whisper"])
def test_other_kinds_are_not_even_built(tmp_path, kind):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "backbone": "/etc"}))
    with pytest.raises(ConfigError, match=f"a '{kind}' model is no encoder of waveforms"):
        Encoder(EncoderOptions(huggingface=str(tmp_path)))


def test_the_end_pointer_has_no_limit_of_its_own(bundle):
    front = Encoder(EncoderOptions(bundle="TINY", endpoint={}, limit=40.0)).eval()
    assert front(*waves(32.0))[1].item() > 3000
    with pytest.raises(DataError, match="over the limit of 40 s"):
        front(*waves(41.0))


@pytest.mark.parametrize("stride", [160, 512, 1280])
def test_the_time_from_frame_to_frame_is_measured(stride):
    module = {"in_channels": 1, "out_channels": 3, "kernel_size": stride, "stride": stride}
    front = Encoder(EncoderOptions(module=f"{__name__}:Strided", arguments=module))
    assert front.frame_shift == pytest.approx(stride / 16000, rel=0.01)


class Strided(nn.Conv1d):
    """A convolution of waveforms (B, N)."""

    def forward(self, waveform):
        return super().forward(waveform[:, None]).transpose(1, 2)


def test_a_model_file_cannot_have_a_module_imported(tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text("raise SystemExit('it was run')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    description = {
        "config": {
            "frontend": {"name": "encoder", "module": "stranger:Encoder"}, "features": "identity",
            "lattice": {"name": "templates", "length": 4}, "inference": {}, "loss": "nll",
        },
        "vocabulary": ["a", "b"],
    }  # fmt: skip
    with pytest.raises(ModelError, match="cannot have a module imported; do so yourself"):
        Recognizer.from_description(description, "bad.safetensors")


def test_a_model_that_reads_no_waveforms_is_refused(tmp_path):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps({
        "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 10,
    }))  # fmt: skip
    with pytest.raises(ConfigError, match="a 'bert' model is no encoder of waveforms"):
        Encoder(EncoderOptions(huggingface=str(tmp_path)))


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"model_type": "wav2vec2", "conv_dim": 3}'])
def test_a_directory_that_describes_nothing_is_refused(tmp_path, text):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match="describes no model"):
        Encoder(EncoderOptions(huggingface=str(tmp_path)))


def test_a_missing_directory_is_named():
    with pytest.raises(ConfigError, match=r"nowhere/config\.json"):
        check("frontends", "encoder", huggingface="nowhere")


def test_a_model_file_cannot_name_a_directory(bundle, tmp_path):
    description = {
        "config": {
            "frontend": {"name": "encoder", "huggingface": str(tmp_path)}, "features": "identity",
            "lattice": {"name": "templates", "length": 4}, "inference": {}, "loss": "nll",
        },
        "vocabulary": ["a", "b"],
    }  # fmt: skip
    with pytest.raises(ModelError, match="names no file to read"):
        Recognizer.from_description(description, "bad.safetensors")


class Frames(nn.Module):
    """Somebody's encoder: windows of 160 samples, as two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(160, width)
        self.second = nn.Linear(width, width)

    def forward(self, waveform):
        first = self.first(waveform.unfold(1, 160, 160))
        return [first, self.second(first.relu())]


def test_any_module_can_be_the_encoder():
    front = Encoder(EncoderOptions(
        module=f"{__name__}:Frames", arguments={"width": 5}, rate=16000, frozen=False,
    ))  # fmt: skip
    assert (front.output_dim, len(front.layers)) == (5, 2)
    assert front.frame_shift == pytest.approx(0.01)
    front.fit(iter(()))
    assert_sound(check(
        "frontends", "encoder", module=f"{__name__}:Frames", arguments={"width": 5},
    ))  # fmt: skip

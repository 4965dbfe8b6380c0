import pytest

from seqebm.errors import ConfigError
from seqebm.testing import assert_sound, check

GRU = {
    "module": "torch.nn:GRU",
    "arguments": {"input_size": "input_dim", "hidden_size": 7, "batch_first": True},
    "output_dim": 7,
}
CONVOLUTION = {
    "module": "torch.nn:Conv1d",
    "arguments": {"in_channels": "input_dim", "out_channels": 5, "kernel_size": 3, "padding": 1,
                  "stride": 2},
    "output_dim": 5, "subsampling": 2, "layout": "bdt",
}  # fmt: skip


@pytest.mark.parametrize("options", [GRU, CONVOLUTION])
def test_modules_of_torch_are_sound(options):
    assert_sound(check("features", "torch_module", **options))


def test_what_cannot_be_imported_is_named():
    with pytest.raises(ConfigError, match="'nowhere:Encoder' cannot be imported"):
        check("features", "torch_module", module="nowhere:Encoder", output_dim=3)


def test_a_frozen_module_has_nothing_to_train():
    faults = [f for f in check("features", "torch_module", **GRU, frozen=True) if not f.passed]
    assert not faults

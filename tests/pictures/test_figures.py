import pytest
from matplotlib.figure import Figure

from seqebm.errors import DataError
from seqebm.pictures.figures import check_picture, save_figure


@pytest.mark.parametrize("name", ["a.png", "a.PDF", "sub/a.svg"])
def test_formats(tmp_path, name):
    save_figure(Figure(), tmp_path / name)
    assert (tmp_path / name).stat().st_size > 0


def test_unknown_endings_and_unwritable_places(tmp_path):
    with pytest.raises(DataError, match=r"a.pgn: a picture needs .*png.* Did you mean 'png'"):
        check_picture(tmp_path / "a.pgn")
    with pytest.raises(DataError, match="a: a picture needs"):
        save_figure(Figure(), tmp_path / "a")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"a.png: could not be written"):
        save_figure(Figure(), tmp_path / "file" / "a.png")

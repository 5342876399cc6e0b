"""The page of a single figure."""

import pytest
from odd_studies import STUDIES

from optnas.errors import InputError
from optnas.plots import pareto_data, pareto_figure
from optnas.plots.page import figure_html, write_figure
from optnas.report import report_html


def test_it_is_no_larger_than_the_report():
    study = STUDIES["usual"]()
    page = figure_html(pareto_figure(pareto_data(study)))
    assert len(page) < len(report_html(study)) < 2.3e6
    assert "<title>odd: " in page
    assert "latency_ms" in page  # the figure's own data can be searched


def test_it_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    figure = pareto_figure(pareto_data(STUDIES["usual"]()))
    path = tmp_path / "f.html"
    write_figure(figure, path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(
            "pathlib.Path.write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full"))
        )
        with pytest.raises(InputError, match=r"can't write .*f\.html: full"):
            write_figure(figure, path)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])

"""Figures out of runs, bars out of figures, and the exit code out of bars."""

import json
from array import array
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.serving import __main__ as command
from benchmarks.serving import report
from benchmarks.serving.bars import missed, verdicts
from benchmarks.serving.figures import Exactness, Figure, Figures, LoadFigures, Run, ServerFigures, quantile
from benchmarks.serving.load import Outcome


def load(
    rate: float, rows: int = 1, *, cpu_us: float = 30.0, equal: int = 100, wrong: int = 0
) -> LoadFigures:
    run = Run(
        requests=1000,
        requests_per_second=rate,
        rows_per_second=rate * rows,
        p50_ms=1.0,
        p99_ms=5.0,
        cpu_us=cpu_us,
        load_cpu_us=12.0,
        others_share=0.1,
        rss_mb=60.0,
        wrong=wrong,
    )
    return LoadFigures.of([run], rows, Exactness(100, equal, 0.0 if equal == 100 else 0.5))


def server(name: str, loads: dict[str, LoadFigures], *, batching: bool = False) -> ServerFigures:
    return ServerFigures(name, name.title(), batching, Figure(0.5, 0.5, 0.5), loads)


def figures(**ours: LoadFigures) -> Figures:
    """Give figures that meet every bar, but for what is said otherwise."""
    loads = {
        "json/1": load(20_000),
        "csv/1": load(25_000),
        "json/1000": load(400, 1000),
        "csv/1000": load(400, 1000),
    }
    loads |= {key.replace("_", "/"): value for key, value in ours.items()}
    slow = {"json/1": load(50), "csv/1": load(60), "json/1000": load(20, 1000), "csv/1000": load(30, 1000)}
    return Figures(
        machine={"cores": "2"},
        settings={"repeats": 3, "seconds": 4},
        ceiling=load(80_000),
        ours=server("sluice", loads),
        peers=(server("plain", slow), server("batching", {"json/1": load(300)}, batching=True)),
        scales=(),
    )


def names(those: Figures) -> list[str]:
    return [verdict.what for verdict in missed(verdicts(those))]


def test_a_run_is_reckoned_from_what_was_noted() -> None:
    latencies = array("d", [i / 1000 for i in range(1, 101)])
    outcome = Outcome(2.0, latencies, 0.5, 0.1, 1.6, 3 * 2**20, ["one"], 1)
    run = Run.of(outcome, 10, cores=2)
    assert (run.requests_per_second, run.rows_per_second) == (50.0, 500.0)
    assert (run.p50_ms, run.p99_ms) == (50.0, 99.0)
    assert (run.cpu_us, run.load_cpu_us) == (5000.0, 1000.0)
    assert run.others_share == pytest.approx(0.25)
    assert (run.rss_mb, run.wrong, run.wrong_examples) == (3.0, 1, ("one",))


def test_a_run_without_an_answer_is_no_figure() -> None:
    with pytest.raises(ValueError, match="no request was answered"):
        Run.of(Outcome(seconds=1.0), 1)


@pytest.mark.parametrize(
    ("share", "found"), [(0.0, 1.0), (0.25, 1.0), (0.26, 2.0), (0.5, 2.0), (0.99, 4.0), (1.0, 4.0)]
)
def test_quantiles(share: float, found: float) -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], share) == found


def test_a_figure_tells_how_far_the_repeats_lie_apart() -> None:
    figure = Figure.of([90.0, 100.0, 120.0])
    assert (figure.median, figure.low, figure.high, figure.spread) == (100.0, 90.0, 120.0, 0.3)


def test_all_bars_met() -> None:
    assert names(figures()) == []


@pytest.mark.parametrize(
    ("ours", "what"),
    [
        ({"json_1": load(4_000)}, "requests/s beside Plain: JSON, 1 row"),
        ({"csv_1": load(5_000)}, "requests/s beside Plain: CSV, 1 row"),
        ({"json_1": load(14_000)}, "requests/s beside Batching: JSON, 1 row"),
        ({"csv_1000": load(200, 1000)}, "rows/s beside the best peer (Plain): CSV, 1,000 rows"),
        ({"json_1": load(20_000, cpu_us=51)}, "server CPU a request: JSON, 1 row"),
        ({"json_1": load(20_000, equal=99)}, "answers equal to scikit-learn's: JSON, 1 row"),
        ({"csv_1000": load(400, 1000, wrong=1)}, "answers equal to scikit-learn's: CSV, 1,000 rows"),
    ],
)
def test_a_missed_bar_is_named(ours: dict[str, LoadFigures], what: str) -> None:
    assert what in names(figures(**ours))


def test_absolute_figures_are_only_reported() -> None:
    those = replace(figures(), peers=())
    slow = replace(
        those, ours=server("sluice", {**those.ours.loads, "json/1": load(100), "csv/1": load(100)})
    )
    found = verdicts(slow)
    assert missed(found) == []
    assert not next(each for each in found if each.what.startswith("requests/s: JSON")).met


def test_an_answer_that_was_never_checked_is_a_missed_bar() -> None:
    unchecked = replace(load(20_000), exactness=None)
    assert names(figures(json_1=unchecked)) == ["answers equal to scikit-learn's: JSON, 1 row"]


def test_a_missed_bar_fails_the_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command._tell(figures(), tmp_path / "good.json", docs=False) == 0
    capsys.readouterr()
    assert command._tell(figures(json_1=load(20_000, cpu_us=70)), tmp_path / "bad.json", docs=False) == 1
    said = capsys.readouterr()
    assert "missed: server CPU a request: JSON, 1 row: 70.0 µs, wanted <= 50 µs" in said.err
    assert "| server CPU a request: JSON, 1 row | <= 50 µs | 70.0 µs | **missed** |" in said.out
    written = json.loads((tmp_path / "bad.json").read_text())
    assert [bar["what"] for bar in written["bars"] if bar["enforced"] and not bar["met"]] == [
        "server CPU a request: JSON, 1 row"
    ]


def test_peers_that_were_left_out_are_told() -> None:
    those = replace(figures(), peers=(), left_out=("mlflow",))
    assert "**left out, and so not compared: mlflow**" in report.tables(those, verdicts(those))


def test_the_generated_part_of_a_page_is_replaced() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.replaced(page, "new") == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    with pytest.raises(ValueError, match="no lines"):
        report.replaced("a page", "new")


def test_the_picture_is_whole() -> None:
    drawn = report.picture(figures())
    assert drawn.startswith("<svg ")
    assert drawn.count("<rect") == 1 + 4 + 4 + 4 + 1
    assert "Sluice" in drawn

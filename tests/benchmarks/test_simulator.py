"""The file of results of `benchmarks.simulator`, what is made of it, and when the command fails."""

import copy
import json
import re

import pytest

from benchmarks.measuring.processes import OVER_MEMORY, OVER_TIME
from benchmarks.measuring.report import BEGIN, END, provenance_text, tables, write_docs, write_plot
from benchmarks.measuring.results import add_record, read_results, replaces
from benchmarks.measuring.work import Case
from benchmarks.peers import OURS, PEERS
from benchmarks.simulator import PAGE, PLOT, RESULTS, Found, Ours, main
from quantum_db.errors import StoreError

SMALL, LARGE = Case(4, 4, 32), Case(20, 4, 4)
PEER = "tensorcircuit_scan"


def origin(date="2026-01-02T03:04:05+00:00", commit="a" * 40, limit=60.0, memory=18.0):
    machine = {"cpu": "Some CPU", "cores": 2, "memory_gb": 24.0, "system": "Linux x86_64"}
    rules = {"limit_s": limit, "repeats": 7, "memory_limit_gb": memory}
    return {"machine": machine, "versions": {"python": "3.11"}, "commit": commit, "date": date, "rules": rules}


def peer(ms=50.0, error=1e-6, status="measured", **of_origin):
    figures = {"ms": ms, "first_step_ms": 9.0, "ratio": ms and ms / 10, "peak_mb": 30.0, "total_mb": 200.0}
    errors = {"loss": 0.0, "weights": error, "features": error / 2}
    return {"status": status, **figures, "error": errors if ms else None, "provenance": origin(**of_origin)}


def ours(ms=10.0, **of_origin):
    limits = {
        "threads": 1, "gflop": 1.0, "flops_ms": 2.0, "part_of_flops": 0.2, "gb": 1.0, "bytes_ms": 3.0,
        "part_of_bandwidth": 0.3,
    }  # fmt: skip
    return peer(ms, **of_origin) | {"limits": limits, "ns_per_amplitude_and_gate": 0.5, "ratio": None}


def filled(path):
    for case in (LARGE, SMALL):
        add_record(path, case, OURS.name, ours())
        results = add_record(path, case, PEER, peer())
    return results


def row(text, title, case):
    """The cells of one case in the table behind `title`."""
    table = text.split(title, 1)[1]
    line = next(line for line in table.splitlines() if line.startswith(f"| {case.title} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


class TestMerging:
    def test_records_of_several_runs_stand_side_by_side(self, tmp_path):
        results = filled(tmp_path / "r.json")
        assert read_results(tmp_path / "r.json") == results
        assert [(case["n"], case["layers"], case["batch"]) for case in results["cases"]] == [(4, 4, 32), (20, 4, 4)]
        assert [set(case["records"]) for case in results["cases"]] == [{OURS.name, PEER}] * 2

    def test_only_the_measured_record_changes(self, tmp_path):
        before = copy.deepcopy(filled(tmp_path / "r.json"))
        later = peer(70.0, date="2026-02-01T00:00:00+00:00", commit="b" * 40)
        after = add_record(tmp_path / "r.json", SMALL, PEER, later)
        assert after["cases"][0]["records"].pop(PEER) == later
        assert before["cases"][0]["records"].pop(PEER)["ms"] == 50.0
        assert after == before

    @pytest.mark.parametrize("other", [Case(4, 4, 8), Case(4, 2, 32), Case(5, 4, 32)])
    def test_another_size_is_another_case(self, tmp_path, other):
        filled(tmp_path / "r.json")
        results = add_record(tmp_path / "r.json", other, OURS.name, ours(3.0))
        assert len(results["cases"]) == 3
        assert sorted(case["records"][OURS.name]["ms"] for case in results["cases"]) == [3.0, 10.0, 10.0]

    @pytest.mark.parametrize(
        ("new", "old", "wanted"),
        [
            (peer(70.0), peer(50.0), True),
            (peer(70.0, limit=5.0), peer(50.0), True),
            (peer(None, status=OVER_TIME, limit=30.0), peer(50.0), False),
            (peer(None, status=OVER_TIME, limit=60.0), peer(50.0), True),
            (peer(None, status=OVER_TIME, limit=30.0), peer(None, status=OVER_TIME), False),
            (peer(None, status=OVER_TIME, limit=90.0), peer(None, status=OVER_TIME), True),
            (peer(50.0, status=OVER_TIME, limit=30.0), peer(40.0), True),
            (peer(None, status=OVER_MEMORY, memory=2.0), peer(50.0), False),
            (peer(None, status=OVER_MEMORY, memory=20.0), peer(50.0), True),
            (peer(None, status="not installed: jax"), peer(50.0), False),
            (peer(None, status="not installed: jax"), peer(None, status="not installed: tensorcircuit"), True),
            (peer(None, status="failed (1): no"), peer(50.0), True),
        ],
    )
    def test_a_record_that_says_less_does_not_replace_one_that_says_more(self, tmp_path, new, old, wanted):
        assert replaces(new, old) is wanted
        add_record(tmp_path / "r.json", SMALL, PEER, old)
        kept = add_record(tmp_path / "r.json", SMALL, PEER, new)["cases"][0]["records"][PEER]
        assert kept == (new if wanted else old)
        assert read_results(tmp_path / "r.json")["cases"][0]["records"][PEER] == kept

    @pytest.mark.parametrize("text", ['{"cases": []}', "[]", '{"layout": 1, "cases": []}'])
    def test_another_layout_is_refused_and_left_alone(self, tmp_path, text, capsys):
        file = tmp_path / "r.json"
        file.write_text(text)
        with pytest.raises(StoreError, match="does not hold results of layout 2"):
            add_record(file, SMALL, PEER, peer())
        assert main(["--output", str(file)]) == 1
        assert "error: " in capsys.readouterr().err
        assert file.read_text() == text


class TestReport:
    def test_a_peer_that_is_less_exact_is_marked(self, tmp_path):
        filled(tmp_path / "r.json")
        text = tables(add_record(tmp_path / "r.json", LARGE, PEER, peer(error=8.1e-5)))
        assert row(text, "Largest error of", LARGE) == [LARGE.title, "1.0e-06", "**8.1e-05**, above 1e-05"]
        assert row(text, "Largest error of", SMALL) == [SMALL.title, "1.0e-06", "1.0e-06"]

    def test_each_record_is_told_by_its_own_rules(self, tmp_path):
        filled(tmp_path / "r.json")
        add_record(tmp_path / "r.json", SMALL, PEER, peer(None, status=OVER_TIME, limit=1800.0))
        text = tables(add_record(tmp_path / "r.json", LARGE, PEER, peer(None, status=OVER_MEMORY, memory=19.0)))
        assert row(text, "Time of a step", SMALL)[2] == "over 1800 s"
        assert row(text, "Time of a step", LARGE)[2] == "over 19 GB"

    def test_a_peer_that_was_measured_in_one_case_only_is_missing_in_the_other(self, tmp_path):
        filled(tmp_path / "r.json")
        text = tables(add_record(tmp_path / "r.json", SMALL, "lightning_qubit", peer(400.0)))
        assert row(text, "Time of a step", SMALL) == [SMALL.title, "10", "400 (40.0x)", "50 (5.0x)"]
        assert row(text, "Time of a step", LARGE) == [LARGE.title, "10", "-", "50 (5.0x)"]
        assert row(text, "Against the best peer", SMALL) == [SMALL.title, "5.0x", "40.0x", "1.0x"]

    def test_where_it_was_measured(self, tmp_path):
        results = filled(tmp_path / "r.json")
        assert provenance_text(results).startswith("Measured 2026-01-02 at commit `aaaaaaaaaaaa` on Some CPU, 2 cores")
        later = {"date": "2026-02-01T00:00:00+00:00", "commit": "b" * 40}
        results = add_record(tmp_path / "r.json", SMALL, PEER, peer(70.0, **later))
        text = provenance_text(results)
        assert f"- {SMALL.title} (Q-Store); {LARGE.title}: 2026-01-02 at commit `aaaaaaaaaaaa`" in text
        assert f"- {SMALL.title} ({PEERS[PEER].title}): 2026-02-01 at commit `bbbbbbbbbbbb`" in text

    @pytest.mark.parametrize("further", [None, Case(4, 4, 8)])
    def test_the_plot_shows_every_case(self, tmp_path, further):
        results = filled(tmp_path / "r.json")
        if further is not None:
            results = add_record(tmp_path / "r.json", further, OURS.name, ours())
        write_plot(tmp_path / "plot.svg", results)
        text = (tmp_path / "plot.svg").read_text()
        for batch in {case["batch"] for case in results["cases"]}:
            assert f"B={batch}" in text

    def test_the_page_is_written_between_its_marks(self, tmp_path):
        page = tmp_path / "page.md"
        page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
        write_docs(page, filled(tmp_path / "r.json"))
        text = page.read_text()
        assert text.startswith("before\n")
        assert text.endswith("after\n")
        assert "\nold\n" not in text
        assert "Some CPU" in text
        page.write_text("nothing")
        with pytest.raises(StoreError, match="once each"):
            write_docs(page, read_results(tmp_path / "r.json"))

    def test_the_documents_show_the_committed_results(self, tmp_path):
        page = tmp_path / "page.md"
        page.write_text(PAGE.read_text())
        write_docs(page, read_results(RESULTS))
        assert page.read_text() == PAGE.read_text()
        assert PLOT.exists()

    def test_report_only_measures_nothing(self, tmp_path, capsys):
        filled(tmp_path / "r.json")
        before = (tmp_path / "r.json").read_text()
        assert main(["--report-only", "--output", str(tmp_path / "r.json")]) == 0
        assert (tmp_path / "r.json").read_text() == before
        assert "Some CPU" in (tmp_path / "r.md").read_text()
        assert (tmp_path / "r.svg").read_text().startswith("<")
        assert "Time of a step in ms" in capsys.readouterr().out
        assert main(["--report-only", "--output", str(tmp_path / "none.json")]) == 1
        assert "none.json does not exist" in capsys.readouterr().err


class TestFailing:
    @pytest.mark.parametrize(
        ("contender", "record", "problem"),
        [
            (OURS, ours(error=9e-6), None),
            (OURS, ours(error=1.1e-5), "n=20 L=4 B=4: Q-Store is wrong by 1.1e-05 of the largest entry"),
            (OURS, ours(error=float("nan")), "Q-Store is wrong by nan"),
            (PEERS[PEER], peer(error=8.1e-5), None),
            (PEERS[PEER], peer(error=0.3), "is off by 3.0e-01 of the largest entry: it computes something else"),
            (PEERS[PEER], peer(None, status="failed (1): ValueError"), "scan failed .1.: ValueError"),
            (PEERS[PEER], peer(None, status=OVER_TIME), None),
            (PEERS[PEER], {"status": "not installed: jax"}, None),
        ],
    )
    def test_our_error_fails_and_a_peers_rounding_does_not(self, contender, record, problem):
        found = Found(LARGE, contender, record).problem
        assert found is None if problem is None else re.search(problem, found)

    def test_the_largest_error_of_all_processes_counts(self):
        alone = {"ms": 2.0, "first_step_ms": 3.0, "peak_mb": 1.0, "total_mb": 9.0}
        found = Ours(alone)
        found.beside(2.0, {"loss": 1e-7, "weights": 3e-6, "features": 1e-6})
        found.beside(6.0, {"loss": 2e-7, "weights": 1e-6, "features": 2e-5})
        found.beside(None, None)
        found.beside(4.0, {"loss": 0.0, "weights": 0.0, "features": 0.0})
        record = found.record(SMALL, None, {})
        assert record["error"] == {"loss": 2e-7, "weights": 3e-6, "features": 2e-5}
        assert (record["ms"], record["ms_alone"], record["limits"]) == (4.0, 2.0, None)
        assert Found(SMALL, OURS, record).problem


@pytest.mark.slow
def test_two_runs_of_a_tiny_case(tmp_path, capsys):
    file = tmp_path / "trial.json"
    committed = RESULTS.read_text()
    for case in ("2:3", "3:2"):
        arguments = ["--cases", case, "--layers", "2", "--peers", "--repeats", "1", "--output", str(file)]
        assert main(arguments) == 0, capsys.readouterr().err
    cases = json.loads(file.read_text())["cases"]
    assert [(case["n"], case["batch"]) for case in cases] == [(2, 3), (3, 2)]
    for case in cases:
        record = case["records"][OURS.name]
        assert 0 < max(record["error"].values()) < 1e-5
        assert record["ms"] > 0
        assert set(record["provenance"]) == {"machine", "versions", "commit", "date", "rules"}
    assert "n=2 L=2 B=3" in (tmp_path / "trial.md").read_text()
    assert RESULTS.read_text() == committed

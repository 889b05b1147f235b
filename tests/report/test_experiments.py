"""One page over all experiments, and the page of a sweep that is still running."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.core.errors import UserError
from src.core.result import Panel, Result, save
from src.report.cells import Age, columns
from src.report.experiments import experiments
from src.report.rebuild import rebuild
from src.report.watch import server


def job(folder: Path, kind: str, seconds: float = 0.0) -> Path:
    result = Result("patch", f"patch_weak/{folder.name}", verdict="it helps", verdict_kind=kind)  # type: ignore[arg-type]
    result.seconds = {"all": seconds}
    return save(result, folder).parent


@pytest.fixture
def results(tmp_path: Path) -> Path:
    job(tmp_path / "patch_weak" / "a", "success", 1800)
    job(tmp_path / "patch_weak" / "b", "no success", 1800)
    overview = Result("compare", "patch_weak/overview")
    overview.add(Panel("", "claims", {"claim": ["x", "y"], "verdict": ["supported", "undecided"]}))
    save(overview, tmp_path / "patch_weak" / "overview")
    job(tmp_path / "modularize" / "only", "")
    return tmp_path


def test_an_experiment_is_a_row_with_its_outcomes_claims_and_cost(results: Path) -> None:
    result = experiments(results, results / "page.html")
    table = result.tables["experiments"]
    rows = {str(name): {key: table[key][row] for key in table} for row, name in enumerate(table["experiment"])}
    patch, cut = rows["patch_weak"], rows["modularize"]
    days = columns({"age": [Age(-0.2), Age(90000), Age(7300)]}, {})[0].cells
    assert [(cell.text, cell.sort) for cell in days[1:]] == [("1 day ago", "90000"), ("2 hours ago", "7300")]
    assert patch["age"] == "just now" and "when this page was made" in result.captions["experiments"]
    assert (patch["jobs"], patch["hours"], patch["outcomes"]) == (2, 1.0, "1 success, 1 no success")
    assert patch["claims"] == "1 supported, 1 undecided" and patch["question"].startswith("Patch a weak CNN")
    assert patch["experiment"].target == "./patch_weak/overview/result.json"
    assert (cut["jobs"], cut["experiment"].target) == (1, "./modularize/only/result.json")
    assert rebuild(results) == results / "page.html" and "All experiments" in (results / "page.html").read_text()


@pytest.fixture
def address(results: Path) -> Iterator[tuple[str, int]]:
    with server(results / "patch_weak") as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield "127.0.0.1", serving.server_port
        serving.shutdown()
        thread.join()


def get(address: tuple[str, int], path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    said = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return said


def test_a_result_that_comes_in_is_on_the_page_when_it_is_asked_for_again(
    address: tuple[str, int], results: Path
) -> None:
    status, headers, _ = get(address, "/")
    assert (status, headers["Location"]) == (302, "/overview/page.html")
    status, headers, text = get(address, "/overview/page.html")
    assert status == 200 and headers["Refresh"] == "10" and "2 jobs (" in text
    job(results / "patch_weak" / "c", "success")
    assert "3 jobs (" in get(address, "/overview/page.html")[2]
    assert get(address, "/a/result.json")[0] == 200 and get(address, "/../modularize/only/result.json")[0] == 404


def test_another_name_for_this_machine_is_refused(address: tuple[str, int]) -> None:
    assert get(address, "/overview/page.html", Host="evil.example:80")[0] == 403


def test_a_folder_without_results_is_refused_before_there_is_an_address(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no result\.json"):
        server(tmp_path).server_close()

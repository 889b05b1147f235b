import io
import subprocess
import sys

import pytest
from rich.console import Console

from src.core.estimate import Estimate
from src.core.result import Result, save
from src.report.screen import show
from tests.fakes.result import HOSTILE, patch_result


def printed(result, folder, width=120, **options):
    stream = io.StringIO()
    show(result, folder, Console(file=stream, width=width, highlight=False), **options)
    return stream.getvalue()


def test_verdict_tables_events_and_places_are_told(tmp_path):
    (tmp_path / "page.html").touch()
    text = printed(patch_result(), tmp_path, also={"W&B": "offline run"})
    assert "The patch raises the F1" in text
    row = next(line for line in text.splitlines() if line.startswith("patched"))
    assert "86.2 [82.8, 89.3]" in row
    assert "Other accuracy (%)" in text
    assert "Sensitivity" not in text  # not named in result.screen
    assert "the search stopped after 41" in text
    assert str(tmp_path / "page.html") in text
    assert "result.json" in text
    assert "W&B     offline run" in text


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_no_number_is_cut_in_a_narrow_window(tmp_path, width):
    text = printed(patch_result(), tmp_path, width)
    assert "…" not in text
    assert "[83.7, 90.2]" in text
    assert max(map(len, text.split("What was")[0].splitlines())) <= width
    if width == 40:
        assert "not shown in a window of this width: " in text


def test_hostile_names_stay_text(tmp_path):
    assert HOSTILE in printed(patch_result(hostile=True), tmp_path)


def test_without_tables_the_metrics_are_shown(tmp_path):
    result = Result("train", "x", metrics={"test/accuracy": Estimate(0.91, 0.9, 0.92)}, units={"accuracy": "%"})
    text = printed(result, tmp_path)
    assert "Test accuracy" in text
    assert "91.0% [90.0, 92.0]" in text


def test_a_failed_job_says_so(tmp_path):
    assert "failed: no such file" in printed(Result("train", "x", status="failed", error="no such file"), tmp_path)


def test_long_tables_are_cut_and_say_where_the_rest_is(tmp_path):
    text = printed(Result("t", "n", tables={"many": {"i": list(range(1000))}}, screen=["many"]), tmp_path)
    assert "40 of 1,000 rows; all of them: tables/many.parquet" in text


def test_an_empty_result_and_an_empty_table_can_be_shown(tmp_path):
    printed(Result("t", "n", tables={"none": {}, "bare": {"x": []}}, screen=["none", "bare"]), tmp_path)


def test_without_a_terminal_lines_are_wide_and_plain_and_any_encoding_will_do(tmp_path):
    save(patch_result(), tmp_path)
    code = (
        "import sys; from pathlib import Path; from src.core.result import load; from src.report.screen import show;"
        "result = load(Path(sys.argv[1])); result.events.append('\\u9f8d'); show(result, Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "COLUMNS": "80", "PATH": ""},
        check=True,
    )
    lines = done.stdout.decode("ascii").splitlines()
    assert any(line.startswith("patched") and "[86.7, 89.4]" in line for line in lines)  # in one row
    assert not any("\x1b" in line for line in lines)


def test_screen_and_progress_import_nothing_heavy():
    code = (
        "import sys, io; from rich.console import Console; from pathlib import Path\n"
        "import src.report.screen as screen, src.report.progress as progress, src.core.result as r\n"
        "console = Console(file=io.StringIO())\n"
        "screen.show(r.Result('t', 'n', tables={'a': {'x': [1.0]}}, screen=['a']), Path('.'), console)\n"
        "with progress.Progress('lines', console).stage('s', 2) as advance: advance()\n"
        "heavy = {'wandb', 'plotly', 'matplotlib', 'torch', 'numpy', 'pandas'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

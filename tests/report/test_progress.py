import io
import threading

import pytest
from rich.console import Console

from src.report.progress import Progress

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def recorder(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None, legacy_windows=False)


def test_without_a_terminal_each_finished_stage_is_one_line():
    console = recorder(terminal=False)
    progress = Progress(console=console)
    with progress.stage("strong: training", 12) as advance:
        for _ in range(12):
            advance(loss=0.25)
    with progress.stage("images"):
        pass
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("strong: training")
    assert "12/12" in lines[0]
    assert "loss 0.25" in lines[0]
    assert list(progress.seconds) == ["strong: training", "images"]
    assert all(took > 0 for took in progress.seconds.values())


def test_on_a_terminal_finished_stages_stay_and_the_cursor_comes_back():
    console = recorder(terminal=True)
    progress = Progress(console=console)
    assert progress.mode == "bars"
    for name in ("first", "second"):
        with progress.stage(name, 100) as advance:
            advance(40, note="[red]x")  # stops early; what it says is no markup
    text = console.file.getvalue()
    assert text.count(HIDE) == text.count(SHOW)
    assert text.rfind(SHOW) > text.rfind(HIDE)
    last = [line for line in text.split("\n") if "40/100" in line]
    assert any("first" in line for line in last)
    assert any("second" in line for line in last)
    assert "note [red]x" in text


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_passes_through_and_leaves_the_screen_whole(error):
    console = recorder(terminal=True)
    progress = Progress(console=console)
    with pytest.raises(error), progress.stage("outer", 2), progress.stage("inner"):
        raise error
    text = console.file.getvalue()
    assert text.rfind(SHOW) > text.rfind(HIDE)
    assert ("interrupted" if error is KeyboardInterrupt else "failed") in text
    assert set(progress.seconds) == {"outer", "inner"}
    with progress.stage("next", 1) as advance:  # and the same object goes on working
        advance()
    assert "1/1" in console.file.getvalue()


def test_silence_still_takes_the_time():
    console = recorder(terminal=True)
    progress = Progress("silent", console)
    with progress.stage("a", 3) as advance:
        advance()
    progress.note("nothing")
    assert console.file.getvalue() == ""
    assert progress.seconds["a"] > 0


def test_stages_of_one_name_are_added_up():
    progress = Progress("silent")
    progress.seconds["a"] = 5.0
    with progress.stage("a"):
        pass
    assert progress.seconds["a"] > 5.0


def test_threads_may_advance_at_once():
    progress = Progress(console=recorder(terminal=True))
    with progress.stage("candidates", 4000) as advance:
        threads = [threading.Thread(target=lambda: [advance() for _ in range(1000)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert advance.done == 4000
    assert "4000/4000" in progress.console.file.getvalue()

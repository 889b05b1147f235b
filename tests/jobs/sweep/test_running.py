"""A sweep with a launcher that does as it is told."""

import io
import time
from dataclasses import replace

import pytest

from src.core import result as results
from src.core.claims import CLAIM, alone, lives
from src.core.configuration import identity
from src.core.errors import UserError
from src.core.result import Result
from src.core.running import Sweep
from src.jobs.sweep import running
from src.jobs.sweep.jobs import Job
from src.jobs.sweep.outcomes import Outcomes, outcome

SETTINGS = Sweep(max_failures=None, rerun=False, id=None)


class Plan:
    """One task without ancestors, at version 1."""

    def version_of(self, task):
        return ""

    def ancestors(self, config):
        return config.get("ancestors", {})

    def expense(self, config):
        return 0.0


class Launcher:
    """Runs jobs by writing their results and outcomes; `dies` names jobs whose worker dies, each so many times."""

    def __init__(self, root, fails=(), dies=None):
        self.root = root
        self.fails = fails
        self.dies = dict(dies or {})
        self.ran = []

    def __call__(self, lines):
        for line in lines:
            fields = dict(part.split("=") for part in line)
            name = fields["name"]
            self.ran.append(name + (f":{fields['until']}" if "until" in fields else ""))
            if "sweep.id" in fields:
                Outcomes(self.root, fields["sweep.id"]).begin(self.root / name)
            if self.dies.get(name):
                self.dies[name] -= 1
                raise RuntimeError("a worker was\nkilled")
            if "until" in fields:
                continue
            status = "failed" if name in self.fails else "ok"
            folder = self.root / name
            results.save(Result("t", name, status=status, identity=identity(config(name))), folder)
            outcome = {"status": status, "label": name, "verdict": "", "folder": str(folder), "seconds": 0.1}
            Outcomes(self.root, fields["sweep.id"]).record(outcome)


def config(name, **more):
    return {"task": "t", "which": name, **more}


def statuses(ended):
    return [outcome["status"] for outcome in ended]


@pytest.fixture
def sweep(tmp_path):
    def run(names, launcher, pages=None, *, stage_first=True, more=None, fault=(), **settings):
        jobs = [
            Job((f"name={name}",), tmp_path / name, config(name, **(more or {})), float(expense),
                "broken" if name in fault else "")
            for expense, name in enumerate(names)
        ]  # fmt: skip
        finished = pages if pages is not None else []

        def finish(folders, config):
            finished.append([folder.name for folder in folders])
            return {"status": "ok"}

        return running.run_sweep(
            jobs, launcher, Plan(), folder=tmp_path, settings=replace(SETTINGS, **settings), stage_first=stage_first,
            finish=finish,
        )  # fmt: skip

    return run


def test_the_second_time_only_what_is_missing_or_failed_runs(sweep, tmp_path, capsys):
    launcher = Launcher(tmp_path, fails=("b",))
    assert statuses(sweep("abc", launcher)) == ["ok", "failed", "ok", "ok"], "the page's is the last one"
    assert launcher.ran == ["c", "b", "a"]
    again = Launcher(tmp_path)
    pages: list[list[str]] = []
    ended = sweep("abcd", again, pages)
    assert again.ran == ["d", "b"]
    assert pages == [["a", "b", "c", "d"]], "the page shows all jobs, in the order of the grid"
    assert statuses(ended) == ["ok"] * 5 and "2 of 4 jobs are done already" in capsys.readouterr().out
    assert not (tmp_path / ".sweeps").exists()


def test_done_jobs_run_again_where_asked(sweep, tmp_path):
    sweep("ab", Launcher(tmp_path))
    again = Launcher(tmp_path)
    sweep("ab", again, rerun=True)
    assert again.ran == ["b", "a"]


def test_a_worker_that_dies_once_costs_nothing(sweep, tmp_path, capsys):
    launcher = Launcher(tmp_path, dies={"b": 1})
    assert statuses(sweep("abc", launcher)) == ["ok"] * 4
    assert launcher.ran == ["c", "b", "a", "b"]
    assert "RuntimeError: a worker was killed" in capsys.readouterr().err


def test_a_worker_that_dies_twice_fails_its_job_and_says_so(sweep, tmp_path, capsys):
    ended = sweep("ab", Launcher(tmp_path, dies={"a": 2}))
    assert statuses(ended) == ["ok", "failed", "ok"]
    assert "its process ended without a word" in ended[1]["verdict"]
    assert "2 jobs: 1 ended, 1 failed" in capsys.readouterr().out


def test_a_job_that_kills_its_process_takes_no_other_with_it(sweep, tmp_path, capsys):
    launcher = Launcher(tmp_path, dies={"d": 9})
    ended = sweep("abcd", launcher)
    assert launcher.ran == ["d", "c", "b", "a", "d"], "the suspect comes last, alone"
    assert statuses(ended) == ["failed", "ok", "ok", "ok", "ok"]


def test_a_launcher_that_starts_nothing_is_not_asked_again(sweep, tmp_path, capsys):
    asked = []

    def broken(lines):
        asked.append(len(lines))
        raise RuntimeError("no srun here")

    ended = sweep("abc", broken)
    assert asked == [3] and statuses(ended) == ["not started"] * 3 + ["ok"]
    assert "no srun here" in capsys.readouterr().err


def test_shared_ancestors_come_first_unless_jobs_run_in_a_row(sweep, tmp_path):
    launcher = Launcher(tmp_path)
    sweep("abc", launcher, more={"ancestors": {"strong": ("task",)}})
    assert launcher.ran == ["c:strong", "c", "b", "a"]
    alone = Launcher(tmp_path)
    sweep("def", alone, more={"ancestors": {"strong": ("task",)}}, stage_first=False)
    assert alone.ran == ["f", "e", "d"]


def test_others_see_the_sweep_also_while_it_makes_what_its_jobs_share(sweep, tmp_path):
    seen = []

    def launch(lines):
        seen.append([lives(claim) for claim in (tmp_path / ".sweeps").glob(f"*{CLAIM}")])
        Launcher(tmp_path)(lines)

    sweep("ab", launch, more={"ancestors": {"strong": ("task",)}})
    assert seen == [[True], [True]]


def test_a_job_that_cannot_be_composed_does_not_stop_the_others(sweep, tmp_path, capsys):
    launcher = Launcher(tmp_path)
    assert statuses(sweep("abc", launcher, fault=("b",))) == ["failed", "ok", "ok", "ok"]
    assert launcher.ran == ["c", "a"]
    assert "broken" in capsys.readouterr().out


def test_the_same_job_twice_in_a_grid_is_one(sweep, tmp_path):
    launcher = Launcher(tmp_path)
    assert len(sweep("aa", launcher)) == 2
    assert launcher.ran == ["a"]


def test_what_was_interrupted_leaves_no_outcomes_behind(sweep, tmp_path):
    def stopped(lines):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep("ab", stopped)
    assert not (tmp_path / ".sweeps").exists()


def test_a_sweep_that_is_refused_as_a_whole_runs_nothing(sweep, tmp_path):
    launcher, pages = Launcher(tmp_path), []
    with pytest.raises(UserError, match=r"^broken$"):
        sweep("ab", launcher, pages, fault=("a", "b"))
    assert not launcher.ran and not pages and not list(tmp_path.iterdir())


def test_what_a_killed_process_had_begun_to_write_goes_with_the_next_run(sweep, tmp_path):
    sweep("a", Launcher(tmp_path))
    for name in (".result.json.ab_c1234", "tables/.t.parquet.ab_c1234", "figures/.f.png.ab_c1234"):
        (tmp_path / "a" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "a" / name).touch()
    (tmp_path / "a" / ".of_another.program1").touch()
    with alone(tmp_path / "a"):
        sweep("a", Launcher(tmp_path))
    assert len(list((tmp_path / "a").rglob(".*.ab_c1234"))) == 3, "of a process that is at it"
    sweep("a", Launcher(tmp_path))
    assert {path.name for path in (tmp_path / "a").rglob(".*")} == {".of_another.program1"}


def test_a_dry_run_tells_and_touches_nothing(sweep, tmp_path, capsys):
    sweep("ab", Launcher(tmp_path))
    (tmp_path / "a" / ".result.json.ab_c1234").touch()
    (tmp_path / ".sweeps" / "dead").mkdir(parents=True)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    launcher, pages = Launcher(tmp_path), []
    capsys.readouterr()
    shared = {"ancestors": {"strong": ("task",)}}
    assert sweep("abcd", launcher, pages, fault=("d",), dry_run=True)[0]["status"] == "failed"
    assert not launcher.ran and not pages
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == files
    told = capsys.readouterr().out
    assert "1 jobs would run, 2 are done\n  run   c\n  done  a\n  done  b\n" in told and "broken" in told
    sweep("efg", launcher, pages, more=shared, dry_run=True)
    assert "shared by several jobs: strong, 1 to be made or found, first" in capsys.readouterr().out


def test_time_is_told_by_earlier_jobs(sweep, tmp_path, capsys):
    for name, seconds in (("a", 10.0), ("b", 30.0), ("c", 20.0)):
        result = Result("t", name, identity=identity(config(name)), config=config(name), seconds={"all": seconds})
        results.save(result, tmp_path / name)
    sweep("abcde", Launcher(tmp_path), dry_run=True)
    # the jobs' expense is 0, 1, 2, 3, 4, and one of the three that are done has none: they count as alike
    assert "time: about 40.0 s one after the other, by 3 earlier" in capsys.readouterr().out
    sweep("de", Launcher(tmp_path), dry_run=True)
    assert "time: about 40.0 s one after the other, by 3 earlier" in capsys.readouterr().out, "of any like them"
    sweep("de", Launcher(tmp_path), more={"tiny": True}, dry_run=True)
    assert "no earlier job of this kind" in capsys.readouterr().out


def test_very_many_jobs_are_not_started_unasked(sweep, tmp_path, capsys, monkeypatch):
    launcher = Launcher(tmp_path)
    with pytest.raises(UserError, match=r"^sweep.confirm_above=2: 3 jobs .*confirm by sweep.confirm_above=3 ") as said:
        sweep("abc", launcher, confirm_above=2)
    assert "\n" not in str(said.value) and not list(tmp_path.iterdir())
    monkeypatch.setattr("sys.stdin", Terminal("no\n"))
    monkeypatch.setattr("sys.stdout", Terminal())
    with pytest.raises(UserError, match="nothing was started"):
        sweep("abc", launcher, confirm_above=2)
    assert not launcher.ran
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    assert statuses(sweep("abc", launcher, confirm_above=2)) == ["ok"] * 4
    monkeypatch.setattr("sys.stdin", Terminal())
    assert statuses(sweep("abcd", launcher, confirm_above=2)) == ["ok"] * 5, "three of the four are done"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_after_the_time_no_job_is_started_and_the_last_line_says_so(sweep, tmp_path, capsys):
    class Late(Launcher):
        """Lets the first job run; the others come when the time is over."""

        def __call__(self, lines):
            super().__call__([[part for part in lines[0] if "sweep.ends" not in part]])
            for line in lines[1:]:
                (ends,) = [part for part in line if part.startswith("sweep.ends=")]
                assert float(ends.removeprefix("sweep.ends=")) > time.time()
                name = line[0].removeprefix("name=")
                ended = outcome("not started", name, "the time is over (sweep.max_hours)", tmp_path / name)
                Outcomes(tmp_path, line[1].removeprefix("sweep.id=")).record(ended)

    assert statuses(sweep("abc", Late(tmp_path), max_hours=0.5)) == ["ok", "not started", "not started", "ok"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "2 of 3 jobs were not started (sweep.max_hours=0.5); the same command goes on"

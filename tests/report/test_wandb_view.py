import json
import math
import os
import struct
import subprocess
import sys
import time
import zlib

import pytest

from src.core.estimate import Estimate
from src.core.result import Figure, Result
from src.report import wandb_view
from src.report.wandb_run import WandbRun
from src.report.wandb_view import choose_mode, logged_in, staged_in, start
from tests.fakes.result import patch_result

BLOCK, FULL, FIRST, LAST = 32768, 1, 2, 4


def publish(result, folder, **options):
    """A finished result as a run of its own; what went wrong, in words."""
    view = start(folder, **({"name": result.name, "job_type": result.task, "config": result.config} | options))
    try:
        view.publish(result, folder)
    finally:
        view.finish()
    return view.events


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """No account, and nothing of W&B's outside the test's folder."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_PROJECT", "WANDB_RUN_GROUP"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(wandb_view, "_silent_since", -math.inf)


def records(path):
    """The records of an offline run, in LevelDB's log format (private to W&B, hence the skip)."""
    protocol = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    place, whole = 7, b""
    while place < len(data):
        if BLOCK - place % BLOCK < 7:  # a header is never split: the rest of the block is filled
            place += BLOCK - place % BLOCK
            continue
        checksum, length, kind = struct.unpack("<IHB", data[place : place + 7])
        part = data[place + 7 : place + 7 + length]
        assert checksum == zlib.crc32(bytes([kind]) + part)
        whole = part if kind in (FULL, FIRST) else whole + part
        place += 7 + length
        if kind in (FULL, LAST):
            record = protocol.Record()
            record.ParseFromString(whole)
            yield record


def read_back(folder):
    """What the file of a folder's one run holds when it is whole: W&B's service writes on for a while."""
    until = time.monotonic() + 60
    while (found := read_now(folder)) is None:
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


def read_now(folder):
    (path,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    run, summary, history, whole = None, {}, [], False
    for record in records(path):
        whole = whole or record.HasField("exit")
        if record.HasField("run"):
            run = record.run
        for item in record.summary.update:
            summary["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
        if record.HasField("history"):
            history.append(
                {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            )
    if not whole:
        return None
    return run, {item.key: json.loads(item.value_json) for item in run.config.update}, summary, history


def artifacts_in(folder):
    """Name -> whether the one offline run of a folder says that it made or used it."""
    (path,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    told = [record.artifact for record in records(path) if record.HasField("artifact")]
    return {each.name: "used" if each.user_created and each.use_after_commit else "made" for each in told}


def best_in(folder):
    """Curve -> which of its values the summary has."""
    (path,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    told = [record.metric for record in records(path) if record.HasField("metric")]
    return {each.name: "max" if each.summary.max else "min" for each in told if each.summary.max or each.summary.min}


def test_an_offline_run_holds_all_of_the_job(tmp_path, capfd):
    pytest.importorskip("wandb")
    result = patch_result()
    result.figures = [*result.figures[:1], Figure("bars", "nowhere", "Undrawable")]
    result.metrics["broken"] = Estimate(math.nan)
    view = start(
        tmp_path, project="cnn-anatomy", group="sweep", job_type="patch", tags=["glyphs", "x" * 80], name="target0",
        config=result.config,
    )  # fmt: skip
    for role in ("strong", "weak"):  # the second starts again at step 0
        for step in range(3):
            view.log({f"{role}/loss": 1 / (1 + step), f"{role}/step": step})
    problems = view.publish(result, tmp_path)
    assert view.finish() == []
    assert len(problems) == 1
    assert "Undrawable" in problems[0]
    assert f"wandb sync {tmp_path}" in view.where

    run, config, summary, history = read_back(tmp_path)
    assert (run.project, run.run_group, run.job_type, run.display_name) == ("cnn-anatomy", "sweep", "patch", "target0")
    assert list(run.tags) == ["glyphs", "x" * 64]
    assert config["search"] == {"generations": 100, "population": 24}
    assert summary["f1/patched"] == 0.862
    assert (summary["f1/patched_low"], summary["f1/patched_high"]) == (0.831, 0.89)
    assert summary["verdict_kind"] == "success"
    logged = {name: value for row in history for name, value in row.items()}
    assert logged["tables/methods/nrows"] == 7
    assert not artifacts_in(tmp_path), "tables are files of the run"
    assert logged["figures/f1_of_the_target_class/_type"] == "image-file"
    assert "broken" not in summary
    assert [row["weak/step"] for row in history if "weak/step" in row] == [0, 1, 2]  # none was dropped
    (path,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    axes = {record.metric.glob_name: record.metric.step_metric for record in records(path) if record.HasField("metric")}
    assert axes["weak/*"] == "weak/step"
    assert best_in(tmp_path) == {"strong/loss": "min", "weak/loss": "min"}
    assert capfd.readouterr() == ("", "")


def test_one_run_per_job_even_if_an_earlier_was_left_open(tmp_path):
    pytest.importorskip("wandb")
    left = start(tmp_path / "a", project="p", name="left")
    assert publish(Result("train", "second"), tmp_path / "b", project="p") == []
    left.finish()
    left.finish()  # again does no harm
    assert read_back(tmp_path / "a")[0].display_name == "left"
    assert read_back(tmp_path / "b")[0].display_name == "second"


def test_disabled_starts_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert publish(patch_result(), tmp_path, project="p", mode="online") == []
    assert not (tmp_path / "wandb").exists()


def test_the_mode_is_the_variables_then_the_wish_then_the_logins(tmp_path, monkeypatch):
    assert choose_mode("auto") == ("offline", "")
    mode, event = choose_mode("online")  # would ask for a key
    assert mode == "offline"
    assert "wandb login" in event
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password key\n")
    assert logged_in()
    assert choose_mode("auto") == ("online", "")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert choose_mode("online") == ("offline", "")
    (tmp_path / "netrc").write_text("not a netrc file")
    assert not logged_in()
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert logged_in()


def test_a_run_that_cannot_start_is_an_event_and_every_method_still_works(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError("no space left\non device")

    monkeypatch.setattr(wandb_view, "_init", broken)
    view = start(tmp_path, project="p")
    view.log({"a/loss": 1.0, "a/step": 0})
    (event,) = view.publish(patch_result(), tmp_path)
    assert "no space left on device" in event
    assert view.finish() == []  # told once
    assert view.run is None


def test_a_server_that_does_not_answer_leaves_an_offline_run(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    original = wandb_view._init

    def unreachable(folder, mode, fields):
        if mode == "online":
            raise TimeoutError("no answer")
        return original(folder, mode, fields)

    monkeypatch.setattr(wandb_view, "_init", unreachable)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    (event,) = publish(Result("train", "n", metrics={"x": Estimate(1.0)}), tmp_path, project="p")
    assert "no answer" in event
    assert "kept offline" in event
    assert read_back(tmp_path)[2]["x"] == 1.0
    (event,) = publish(Result("train", "n"), tmp_path / "next", project="p")
    assert "a while ago" in event, "the next job does not wait again"


def test_a_run_that_breaks_midway_tells_it_once_and_is_still_finished(tmp_path):
    class Breaking:
        finished = 0

        def __getattr__(self, name):
            raise ConnectionError("gone")

        def finish(self, exit_code):
            self.finished += 1 + exit_code

    run = Breaking()
    view = WandbRun(run)
    for step in range(100):
        view.log({"x": step}, step=step)
    events = view.publish(Result("t", "n", status="failed"), tmp_path) + view.finish()
    assert len(events) == len(set(events)) <= 3
    assert run.finished == 2  # once, with exit code 1


def test_a_run_is_what_we_call_it_unless_an_agent_waits_for_it(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_RUN_ID", "theirs")
    monkeypatch.setenv("WANDB_RESUME", "must")
    for place, sweep in (("a", ""), ("b", "sweep")):
        monkeypatch.setenv("WANDB_SWEEP_ID", sweep)
        start(tmp_path / place, project="p", run_id="ours").finish()
    assert [read_back(tmp_path / place)[0].run_id for place in "ab"] == ["ours", "theirs"]
    assert os.environ["WANDB_RUN_ID"] == "theirs"


def test_what_is_put_aside_goes_and_a_users_own_place_stays(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_DATA_DIR")
    theirs = os.environ["WANDB_CACHE_DIR"]
    with staged_in(tmp_path / "staging"):
        assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "staging") and os.environ["WANDB_CACHE_DIR"] == theirs
        (tmp_path / "staging").mkdir()
    assert "WANDB_DATA_DIR" not in os.environ and not (tmp_path / "staging").exists()


def test_importing_the_view_does_not_import_wandb():
    code = "import sys, src.report.wandb_view as view; view.choose_mode(); sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

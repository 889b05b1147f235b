"""A sweep as the server of Weights & Biases sees it: one run per job, whatever was killed and run again.

What a client's exit code says is not believed: everything is counted at a stand-in of the server.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import ROOT
from tests.fakes.wandb_server import Artifact, Server

JOB = ("experiment=patch_weak", "debug=tiny", "traceback=false", "report=none")
SWEEP = ("-m", *JOB, "target_class=0,1", "seed=0,1,2")
ROLES = ("strong", "weak", "weak_retrained")


@pytest.fixture
def server():
    pytest.importorskip("wandb")
    with Server() as server:
        yield server
        assert not server.strangers and not server.unknown


def sync(server: Server, *places: Path) -> None:
    """As the README says, but for its patterns."""
    private = {f"WANDB_{name}_DIR": str(places[0].parent / "elsewhere") for name in ("CACHE", "DATA", "CONFIG")}
    command = [sys.executable, "-m", "wandb", "sync", *map(str, places)]
    environment = {**os.environ, **server.variables, **private, "WANDB_MODE": "online"}
    done = subprocess.run(command, cwd=places[0].parent, env=environment, capture_output=True, text=True, timeout=240)
    assert not done.returncode, done.stderr


def by_run(server: Server, result: dict) -> dict:
    """The run of a result, by the name that is the job's folder."""
    (found,) = [run for run in server.runs.values() if run.fields["displayName"] == result["folder"].name]
    return found


def named(server: Server) -> dict[str, Artifact]:
    """Artifacts by their names; there is one version of each, and it is whole."""
    artifacts = {artifact.collection: artifact for artifact in server.artifacts.values()}
    assert len(artifacts) == len(server.artifacts) and all(artifact.committed for artifact in artifacts.values())
    return artifacts


def holds_once(server: Server, results: list[dict]) -> None:
    """Every number of every result, and every point of its curves, each once."""
    for result in results:
        run = by_run(server, result)
        assert run.exit_code == 0 and run.summary["verdict"] == result["verdict"]
        assert run.summary["f1_patched"] == result["metrics"]["f1_patched"]["value"]
        values = {name: metric["value"] for name, metric in result["metrics"].items() if metric["value"] is not None}
        assert {name: run.summary.get(name) for name in values} == values
        steps = {name: [row[f"{name}/step"] for row in run.history if f"{name}/step" in row] for name in ROLES}
        assert all(found == [0] for found in steps.values()), steps
        assert [row["search/step"] for row in run.history if "search/step" in row] == [0, 1]
        assert [row["_step"] for row in run.history] == list(range(len(run.history)))
        assert {f"tables/{name}" for name in result["tables"]} <= set(run.summary)
        assert {"lr", "epoch_seconds", "memory_gb"} <= {name.removeprefix("strong/") for name in run.summary}
        assert run.summary["strong/val/accuracy"].keys() == {"max"}


def lineage_is_whole(server: Server, results: list[dict]) -> list[str]:
    """Every network and module was made by a stage and used by the jobs that name it; returns all edges, in words."""
    artifacts = named(server)
    for result in results:
        (job,) = [name for name, run in server.runs.items() if run is by_run(server, result)]
        used = {each.collection for each in artifacts.values() if job in each.used_by}
        assert {name.split("-")[1] for name in used if not name.startswith("images")} == set(result["uses"])
        assert len([name for name in used if name.startswith("images")]) == 3
        assert artifacts[f"patched-{result['identity']}"].made_by == {job}
    stages = server.of_type("stage")
    for name, artifact in artifacts.items():
        kind, digest = name.split("-")
        if kind in ("network", "modules"):
            assert artifact.made_by == {digest} and digest in stages and artifact.metadata["recipe"]
        if kind == "modules":
            assert {each.type for each in artifacts.values() if digest in each.used_by} == {"network"}
        if kind == "images":
            assert not artifact.made_by and artifact.metadata["classes"] and artifact.metadata["train"]
            assert len(artifact.manifest["contents"]) == 1 and not artifact.files
    kinds = {id(run): run.fields["jobType"] for run in server.runs.values()}
    edges = [(kinds[id(server.runs[run])], "made", each.type) for each in artifacts.values() for run in each.made_by]
    edges += [(kinds[id(server.runs[run])], "used", each.type) for each in artifacts.values() for run in each.used_by]
    return sorted(f"{' '.join(edge)}: {edges.count(edge)}" for edge in set(edges))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_killed_sweep_that_is_run_again_is_one_run_per_job(run, tmp_path, server):
    out = tmp_path / "out"
    out.mkdir()
    killed = run(out, *SWEEP, strike=(signal.SIGKILL, f"{out}/patch_weak/target1-*/tables/*.parquet"))
    assert killed.code == -signal.SIGKILL
    sync(server, out / "store" / "wandb", *out.glob("patch_weak/*/wandb"))  # as someone does who looks what has come
    assert sorted(run.exit_code for run in server.of_type("patch").values()) == [0, 0, 0, 1]
    ran = run(out, *SWEEP)
    assert ran.code == 0 and len(ran.results) == 6, ran.text
    sync(server, out / "store" / "wandb")
    sync(server, *out.glob("patch_weak/*/wandb"))
    jobs, stages = server.of_type("patch"), server.of_type("stage")
    assert len(jobs) == 6 and len(server.runs) == 6 + len(stages) + 1 == 6 + len(ran.store) + 1  # and the overview
    assert {run.fields["groupName"] for run in server.runs.values()} == {"patch_weak"}
    holds_once(server, ran.results)
    print("\n".join(lineage_is_whole(server, ran.results)))
    assert not [path for path in out.rglob("*.wandb") if str(out).encode() in path.read_bytes()]
    told = [content for run in server.runs.values() for content in [*run.files.values(), str(run.fields).encode()]]
    told += [str(each.metadata | each.manifest).encode() for each in server.artifacts.values()]
    (sync_itself,) = {run.fields["program"].encode() for run in server.runs.values()}  # which tells where it lies
    hidden = [text.encode() for text in (str(out), str(ROOT), str(Path.home()), f'"{os.uname().nodename}"')]
    assert not [text for text in hidden for content in told if text in content.replace(sync_itself, b"")]
    assert not any(run.fields["host"] for run in server.runs.values())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_online_a_killed_job_goes_on_in_its_run(run, tmp_path, server):
    out = tmp_path / "out"
    out.mkdir()
    online = {**server.variables, "WANDB_MODE": "online", "WANDB_CONFIG_DIR": str(tmp_path / "config")}
    killed = run(out, *JOB, strike=(signal.SIGKILL, f"{out}/store/modules/*/manifest.json"), **online)
    assert killed.code == -signal.SIGKILL and len(server.of_type("patch")) == 1
    ran = run(out, *JOB, "logger.artifacts=weights", **online)
    assert ran.code == 0 and "could not" not in ran.text, ran.text
    (job,) = server.of_type("patch").values()
    assert job.begun == 2 and job.fields["program"] == "src.run" and not job.fields["host"]
    holds_once(server, ran.results)
    networks = [each for each in server.artifacts.values() if "best.safetensors" in each.files]
    assert len(networks) == 3 and all(each.committed and each.made_by for each in networks)
    assert not list(out.rglob("staging")), "what was put aside goes with the run"

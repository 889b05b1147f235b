"""Command lines that are refused before anything is imported or written: one line with key, value and what is right."""

import os

import pytest

from src.core.errors import UserError
from src.jobs.command_line import check_command_line
from src.jobs.resolvers import register
from tests.end_to_end.conftest import TINY

JOB = "experiment=patch_weak"
MEASURE = "experiment=robustness"


@pytest.fixture(autouse=True)
def outputs(tmp_path, monkeypatch):
    register()
    monkeypatch.setenv("CNN_ANATOMY_OUTPUTS", str(tmp_path / "outputs"))


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "nothing to do"),
        (["-m"], "nothing to do"),
        (["nothing"], "nothing: cannot be read"),
        (["=3"], "=3: no key"),
        (["--confg-dir=/x", JOB], "--confg-dir"),
        (["--config-dir=/nowhere", JOB], "/nowhere is no folder"),
        (["task=ptch"], "did you mean 'patch'?"),
        ([JOB, "logger=cvs"], "did you mean 'csv'?"),
        ([JOB, "debug=tinny"], "did you mean 'tiny'?"),
        ([JOB, "search=genetics"], "genetic"),
        ([JOB, "hydra/launcher=core"], "did you mean 'cores'?"),
        ([JOB, "data@stron.data=digits"], "data@stron.data"),
        (["experiment=modularize", "recipe@weak=glyphs_weak"], "recipe@strong"),
        (["experiment=modularize", "target_class=3"], "no key 'target_class'"),
        ([JOB, "+nokey=3"], "no key 'nokey'"),
        ([JOB, "++nokey=3"], "no key 'nokey'"),
        ([JOB, "~search"], "cannot be taken out"),
        ([JOB, "target_class=[0"], "target_class=[0: cannot be read"),
        ([JOB, "target_class="], "target_class=: allowed is a class"),
        ([JOB, "target_class=[]"], "target_class=[]: allowed is a class"),
        ([JOB, "target_class=[0,0]"], "target_class=[0, 0]: allowed is a class"),
        ([JOB, "target_class=1.5"], "target_class=1.5: allowed is a class"),
        ([JOB, "seed=zero"], "seed=zero"),
        ([JOB, "seed=1.5"], "seed=1.5: allowed is a whole number"),
        ([JOB, "threads=0"], "threads=0: allowed is a whole number from 1"),
        ([JOB, "workers=many"], "workers=many: allowed is auto"),
        ([JOB, "device=gpu"], "device=gpu: allowed is auto, cpu"),
        ([JOB, "strong.training.epochs=-1"], "strong.training.epochs=-1: allowed is a whole number from 1"),
        ([JOB, "strong.data.batch_size=2.5"], "strong.data.batch_size=2.5"),
        ([JOB, "strong.data.source=digits"], "strong.data.source.name"),
        ([JOB, "strong.optim.schedule=cosine"], "strong.optim.schedule.name"),
        ([JOB, "search.sensitive_ratios=0.9"], "search.sensitive_ratios=0.9"),
        ([JOB, "sensitivity.ratios=[2.0]"], "sensitivity.ratios=[2.0]: allowed is"),
        ([JOB, "module_score=margn"], "did you mean 'margin'?"),
        ([JOB, "calibration=plat"], "did you mean 'platt'?"),
        ([JOB, "resamples=0"], "resamples=0: allowed is"),
        ([JOB, "name=../x"], "name=../x"),
        ([JOB, "data@strong.data=image_folder"], "strong.data.source.root"),
        ([MEASURE, "study=robustnes"], "did you mean 'robustness'?"),
        ([MEASURE, "study.temperature=fitt"], "study.temperature=fitt: allowed is none, fit; did you mean 'fit'?"),
        ([MEASURE, "study.corruptions=fog"], "study.corruptions=fog: allowed is all, or a list of names"),
        ([MEASURE, "study.severities=3"], "study.severities=3: allowed is a list of different ones of 1, 2, 3, 4, 5"),
        ([MEASURE, "study.severities=[]"], "study.severities=[]: allowed is a list of different ones of 1, 2, 3, 4, 5"),
        ([MEASURE, "study.images=0"], "study.images=0: allowed is null or a whole number from 1"),
        ([MEASURE, "study.batch=many"], "study.batch=many: allowed is a whole number from 1"),
        ([MEASURE, "study.unknown.batch_size=many"], "study.unknown.batch_size=many"),
        ([MEASURE, "study.btach=3"], "did you mean 'batch'?"),
    ],
    ids=lambda value: " ".join(value[-1:]) if isinstance(value, list) else "",
)
def test_one_line_that_says_what_is_right(argv, said):
    with pytest.raises(UserError) as refusal:
        check_command_line(argv)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "argv",
    [
        [JOB, "target_class=disc"],
        [JOB, "target_class=[0,disc]"],
        [JOB, "sensitivity.layers=[0,1]"],
        [JOB, "strong.data.normalisation={mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2]}"],
        [JOB, "data@strong.data=image_folder", "strong.data.source.root=mine"],
        [JOB, "strong.data.splits.validation=0.1", "search.patience=null", "+strong.optim.eps=1e-7"],
        ["-m", JOB, "target_class=range(10)", "hydra/launcher=cores"],
        [MEASURE, "study.corruptions=[fog]", "study.severities=[1]", "study.files=/cifar", "study.reference=null"],
    ],
    ids=" ".join,
)
def test_what_the_comments_of_conf_promise_is_allowed(argv):
    check_command_line(argv)


@pytest.mark.parametrize("taken", ["", "store", "patch_weak"])
def test_a_folder_that_cannot_be_written_to(taken, tmp_path):
    place = tmp_path / "outputs" / taken
    place.parent.mkdir(exist_ok=True)
    place.write_text("a file stands here")
    with pytest.raises(UserError, match=f"{place} cannot be written to"):
        check_command_line([JOB])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path):
    (tmp_path / "outputs").mkdir(mode=0o500)
    with pytest.raises(UserError, match="cannot be written to"):
        check_command_line([JOB])


def test_a_gpu_that_is_not_there(run, tmp_path):
    ran = run(tmp_path, JOB, *TINY, "device=cuda:99")
    assert ran.code == 1 and ran.result["status"] == "failed"
    assert "device=cuda:99" in ran.result["error"] and "device=cpu" in ran.result["error"]


def test_a_job_of_a_sweep_that_is_refused_leaves_the_others(run, tmp_path):
    ran = run(
        tmp_path, "-m", "experiment=modularize", "data@strong.data=image_folder,glyphs_strong", *TINY, "report=page"
    )
    assert ran.code == 1
    assert "2 jobs: 1 ended, 1 failed" in ran.text and "strong.data.source.root" in ran.text
    assert "Traceback" not in ran.text and ran.result["status"] == "ok"
    overview = (tmp_path / "modularize" / "overview" / "page.html").read_text()
    assert ran.result["config"]["label"] in overview

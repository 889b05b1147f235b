"""Command lines that are refused before anything is imported or written: one line with key, value and what is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.core.errors import UserError
from src.jobs.command_line import check_command_line
from src.jobs.needs import check_needs
from src.jobs.resolvers import register
from tests.end_to_end.conftest import ROOT, TINY

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
        (["experiment", "=", "patch_weak"], "write key=value without a space beside the ="),
        ([JOB, "seed=", "1"], "write key=value without a space beside the ="),
        (["patch_weak"], "write experiment=patch_weak"),
        ([JOB, '"seed=1"'], "one pair too many; write seed=1"),
        ([JOB, "“seed=1”"], "its quotes are those of a text"),
        (["--confg-dir=/x", JOB], "--confg-dir"),
        (["--config-dir=/nowhere", JOB], "/nowhere is no folder"),
        (["task=ptch"], "did you mean 'patch'?"),
        ([JOB, "logger=cvs"], "did you mean 'csv'?"),
        ([JOB, "logger.project=a/b"], "logger.project=a/b: allowed is 1 to 128 characters without / \\ # ? % :"),
        ([JOB, "logger.project=''"], "allowed is 1 to 128 characters"),
        ([JOB, f"logger.project={'p' * 129}"], "allowed is 1 to 128 characters"),
        ([JOB, "logger.artifacts=all"], "logger.artifacts=all: allowed is none, metadata, weights"),
        ([JOB, "debug=tinny"], "did you mean 'tiny'?"),
        ([JOB, "search=genetics"], "genetic"),
        ([JOB, "hydra/launcher=core"], "did you mean 'cores'?"),
        ([JOB, "data@stron.data=digits"], "data@stron.data"),
        (["experiment=modularize", "recipe@weak=glyphs_weak"], "recipe@strong"),
        ([JOB, "hydra/launcher=cores"], "hydra/launcher=cores runs the jobs of a sweep; add -m"),
        ([JOB, "--config-name=mine"], "--config-name=mine: there is one configuration"),
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
        ([JOB, "device=gpu"], "device=gpu: allowed is auto, cpu, cuda, cuda:1; did you mean 'cuda'?"),
        (["experimnt=patch_weak"], "no key 'experimnt'; did you mean 'experiment'?"),
        (["task=train", "task=patch"], "task=train task=patch: one task at a time"),
        ([JOB, "experiment=robustness"], "one experiment at a time"),
        ([JOB, "task=measure"], "experiment=patch_weak task=measure: the experiment is task=patch; leave out one"),
        ([JOB, "name=7"], "as a word it is typed \"name='7'\""),
        (["-m", JOB, "outputs=7"], "as a word it is typed \"outputs='7'\""),
        ([JOB, "name=a(b"], "type it as \"name='a(b'\""),
        ([JOB, "name=it's"], "name=it's: cannot be read"),
        (
            [JOB, "hydra.launcher.n_jbs=2", "hydra/launcher=cores"],
            "no key 'hydra.launcher.n_jbs'; did you mean 'hydra.launcher.n_jobs'?",
        ),
        ([JOB, "until=strog"], "did you mean 'strong'?"),
        (["task=train", "until=strong"], "until=strong: task=train has no such stage (it has: none)"),
        ([JOB, "search.alpha=2"], "search.alpha=2: allowed is a number from 0 to 1"),
        (["help"], "write key=value, as experiment=NAME; --help lists them"),
        ([JOB, "target_class=99"], "target_class=99: the strong network has no class 99; its classes: 0 disc, "),
        ([JOB, "target_class=[0,99]"], "the strong network has no class 99"),
        ([JOB, "+strong.model.nmae=3"], "strong.model.nmae=3: simcnn has no such option"),
        ([JOB, "strong.model.name=simcn"], "strong.model.name=simcn: did you mean 'simcnn'?"),
        ([JOB, "strong.model.width=-1"], "strong.model.width=-1: allowed is a number above 0"),
        ([JOB, "strong.training.epochs=-1"], "strong.training.epochs=-1: allowed is a whole number from 1"),
        ([JOB, "strong.data.batch_size=2.5"], "strong.data.batch_size=2.5"),
        ([JOB, "strong.data.splits.validation=-1"], "strong.data.splits.validation=-1: allowed is a share"),
        ([JOB, "strong.data.splits.validation=1.5"], "strong.data.splits.validation=1.5: allowed is a share"),
        ([JOB, "strong.data.splits.validation=tset"], "strong.data.splits.validation=tset: allowed is a share"),
        ([JOB, "weak.data.splits.calibration=-0.5"], "weak.data.splits.calibration=-0.5: allowed is a share"),
        ([JOB, "strong.data.source=digits"], "strong.data.source.name"),
        ([JOB, "strong.optim.schedule=cosine"], "strong.optim.schedule.name"),
        ([JOB, "search.sensitive_ratios=0.9"], "search.sensitive_ratios=0.9"),
        ([JOB, "sensitivity.ratios=[2.0]"], "sensitivity.ratios=[2.0]: allowed is"),
        ([JOB, "module_score=margn"], "did you mean 'margin'?"),
        ([JOB, "calibration=plat"], "did you mean 'platt'?"),
        ([JOB, "strong.training.epoch=9"], "no key 'strong.training.epoch'; did you mean 'strong.training.epochs'?"),
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
        ([MEASURE, "study.btach=3"], "did you mean 'study.batch'?"),
    ],
    ids=lambda value: " ".join(value[-1:]) if isinstance(value, list) else "",
)
def test_one_line_that_says_what_is_right(argv, said):
    with pytest.raises(UserError) as refusal:
        check_command_line(argv)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_is_allowed_is_said_once():
    with pytest.raises(UserError, match=r"^calibration=zzz: allowed is platt, min_max, percentile, outlier$"):
        check_command_line([JOB, "calibration=zzz"])


@pytest.mark.parametrize(
    "argv",
    [
        [JOB, "target_class=disc"],
        [JOB, "target_class=[0,disc]"],
        [JOB, "sensitivity.layers=[0,1]"],
        [JOB, "strong.data.normalisation={mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2]}"],
        [JOB, "data@strong.data=image_folder", "strong.data.source.root=mine"],
        [JOB, "recipe@strong=glyphs_strong", "strong.data.classes=[disc,ring]", "target_class=disc"],
        [JOB, "strong.data.splits.validation=test", "weak.data.splits.calibration=0"],
        [JOB, "strong.data.splits.validation=0.1", "search.patience=null", "+strong.optim.eps=1e-7"],
        ["-m", JOB, "target_class=range(10)", "hydra/launcher=cores"],
        [MEASURE, "study.corruptions=[fog]", "study.severities=[1]", "study.files=/cifar", "study.reference=null"],
    ],
    ids=" ".join,
)
def test_what_the_comments_of_conf_promise_is_allowed(argv):
    check_command_line(argv)


@pytest.mark.parametrize("argv", [[MEASURE, "task=measure"], [JOB, "name='it\\'s a(b'", "label='7'"]])
def test_what_is_said_twice_or_in_quotes_is_allowed(argv):
    check_command_line(argv)


FILES = {
    "conf/model/broken.yaml": "# A network\nname: simcnn\n  width: 1.0\n",
    "conf/model/misspelt.yaml": "# A network\n\nnmae: simcnn\nwidth: 1.0\n",
    "conf/model/unknown.yaml": "name: simcnn\nwidht: 1.0\n",
    "conf/recipe/wrong.yaml": "defaults: [glyphs_strong, _self_]\ntraining:\n  # many\n  epochs: -3\n",
    "conf/recipe/leads_nowhere.yaml": "defaults:\n  - glyphs_strong\n  - override /model@model: simcn\n  - _self_\n",
    "nets.py": "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    pass\n",
    "slip.py": "import torch\n\ndef net(classes:\n    return None\n",
    "lonely.py": "import torch\nimport no_such_package.parts\n\nnet = torch.nn.Linear\n",
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("CNN_ANATOMY_OWN", str(tmp_path / "mine"))
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["model@recipe.model=broken"], "{mine}/conf/model/broken.yaml:3: mapping values are not allowed"),
        (["model@recipe.model=misspelt"], "recipe.model.nmae is not a setting; did you mean 'name'? "
         "({mine}/conf/model/misspelt.yaml:3)"),
        (["model@recipe.model=unknown"], "did you mean 'width'? ({mine}/conf/model/unknown.yaml:2)"),
        (["recipe=wrong"], "allowed is a whole number from 1 ({mine}/conf/recipe/wrong.yaml:4)"),
        (["recipe=wrong", "recipe.training.epochs=-4"], "recipe.training.epochs=-4: allowed is a whole number from 1"),
        (["recipe=leads_nowhere"], "no model 'simcn'; did you mean 'simcnn'?"),
        (["model@recipe.model=python"], "recipe.model.name: Missing mandatory value: name; set recipe.model.name=... "
         "(conf/model/python.yaml:2)"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_with_its_line(argv, said, mine):
    with pytest.raises(UserError) as refusal:
        check_command_line(["task=train", *argv])
    assert str(refusal.value).startswith(said.format(mine=mine)) or str(refusal.value).endswith(said.format(mine=mine))
    assert "\n" not in str(refusal.value)


def own_network(name: str) -> list[str]:
    return ["task=train", "model@recipe.model=python", f"recipe.model.name=python:{name}"]


#: What a job would miss, and what is said of it.
MISSING = {
    "folder": (["task=train", "data@recipe.data=image_folder", "recipe.data.source.root={mine}/phtos"],
               "recipe.data.source.root={mine}/phtos: no such file or folder; did you mean 'photos'?"),
    "no folder": (["task=train", "data@recipe.data=image_folder", "recipe.data.source.root={mine}/nets.py"],
                  "nets.py: it is a file; give the folder of the images"),
    "file": (["experiment=patch_weak_cifar"], "/data/cifar10.parquet: no such file or folder"),
    "weights": (["task=measure", "subject=checkpoint", "subject.path=/nowhere/x.safetensors"],
                "subject.path=/nowhere/x.safetensors: no such file or folder"),
    "path of weights": (["task=measure", "subject=checkpoint"], "subject.path: Missing mandatory value: path"),
    "network of weights": (["task=measure", "subject=checkpoint", "subject.path={mine}/some.pth"],
                           "some.pth: nothing says which network its weights are of; add model@subject.model="),
    "names of classes": (["task=measure", "subject=checkpoint", "subject.path={mine}/some.pth",
                          "subject.classes=imagnet"], "subject.classes=imagnet: allowed is null, a list of different"),
    "code of weights": (["task=measure", "subject=checkpoint", "subject.path={mine}/photos/some.pth"],
                        "subject.json: builds the network by code (python:nets:Net), which no file may start by"),
    "published images": ([MEASURE, "study.files=/nowhere"], "study.files=/nowhere: no such file or folder"),
    "cue conflicts of a sweep": (["-m", "task=measure", "study=shape_bias", "study.conflicts=/nowhere", "seed=0,1"],
                                 "study.conflicts=/nowhere: no such file or folder"),
    "operation of a sweep": (["-m", "task=measure", "study=locality", "seed=0,1",
                              "study.operations=[{{name: blok_shuffle, levels: [4]}}]"],
                             "study.operations: there is no operation 'blok_shuffle'; did you mean 'block_shuffle'?"),
    "corruption of a sweep": (["-m", MEASURE, "study.corruptions=[fogg]", "seed=0,1"],
                              "study.corruptions: no 'fogg'; did you mean 'fog'?"),
    "GPU": ([JOB, "device=cuda"], "device=cuda: this machine has no GPU; take device=auto or device=cpu"),
    "module": (own_network("nest:Net"), "there is no module 'nest'; did you mean 'nets'?"),
    "name": (own_network("nets:Nett"), "nets.py has no 'Nett'; did you mean 'Net'?"),
    "colon": (own_network("nets"), "write python:package.module:callable"),
    "whole source": (own_network("slip:net"), "slip.py:3: '(' was never closed; mend it"),
    "package": (own_network("lonely:net"), "lonely.py:2 imports 'no_such_package', which is not there"),
    "class": ([JOB, "target_class=99"], "the strong network has no class 99"),
    "YAML": (["task=train", "model@recipe.model=broken"], "broken.yaml:3: mapping values are not allowed"),
}  # fmt: skip

SCRIPT = """
import json, sys
from src.run import main
for name, argv in json.loads(sys.argv[1]).items():
    print(name, file=sys.stderr)
    print(main(argv), "torch" in sys.modules)
"""


def test_what_a_job_would_miss_is_told_without_torch_and_nothing_is_left(mine, tmp_path):
    (mine / "photos").mkdir()
    for place in (mine, mine / "photos"):
        (place / "some.pth").touch()
    (mine / "photos" / "subject.json").write_text('{"architecture": {"name": "python:nets:Net"}}')
    lines = {name: [part.format(mine=mine) for part in argv] for name, (argv, _) in MISSING.items()}
    if any(Path("/dev").glob("nvidia*")):
        del lines["GPU"]
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(lines)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == ["2 False"] * len(lines), ran.stdout
    told = ran.stderr.splitlines()
    assert told[::2] == list(lines), ran.stderr
    for name, message in zip(lines, told[1::2], strict=True):
        assert message.startswith("error: ") and MISSING[name][1].format(mine=mine) in message
    assert not (tmp_path / "outputs").exists()


def test_a_module_that_fails_when_it_is_imported_is_told_too(mine, monkeypatch):
    (mine / "sorry.py").write_text("def net(classes):\n    return None\n\nraise RuntimeError('not today')\n")
    values = check_command_line(own_network("sorry:net")).values
    check_needs(values, here=False)
    with pytest.raises(UserError, match="sorry cannot be imported \\(RuntimeError: not today\\); mend it"):
        check_needs(values)
    check_needs(check_command_line(own_network("nets:Net")).values)


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
    """In a process that has torch already, it is torch that is asked."""
    ran = run(tmp_path, JOB, *TINY, "device=cuda:99")
    assert ran.code == 2 and not list(tmp_path.iterdir())
    assert "device=cuda:99" in ran.text and "device=cpu" in ran.text and "Traceback" not in ran.text


def test_a_job_of_a_sweep_that_is_refused_leaves_the_others(run, tmp_path):
    ran = run(
        tmp_path, "-m", "experiment=modularize", "data@strong.data=image_folder,glyphs_strong", *TINY, "report=page"
    )
    assert ran.code == 1
    assert "2 jobs: 1 ended, 1 failed" in ran.text and "strong.data.source.root" in ran.text
    assert "Traceback" not in ran.text and ran.result["status"] == "ok"
    overview = (tmp_path / "modularize" / "overview" / "page.html").read_text()
    assert ran.result["config"]["label"] in overview

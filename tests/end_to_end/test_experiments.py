"""Every file of conf/experiment composes and runs tiny through the command line; new ones are covered by themselves."""

import math

import pyarrow.parquet as pq
import pytest

from src.core.configuration import identity
from src.jobs.command_line import check_command_line
from src.jobs.resolvers import register
from tests.end_to_end.conftest import ROOT, TINY
from tests.end_to_end.fake_cifar import write_fake_cifar
from tests.end_to_end.fake_mnist import write_fake_mnist
from tests.fakes.imagenet import write_imagenet

EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))
#: experiments that read files: what writes them into the folder that becomes data_root
FILES = {
    "patch_weak_cifar": write_fake_cifar,
    "layer_widths_photographs": write_fake_cifar,
    "modular_cifar100": write_fake_cifar,
    "modular_thesis": write_fake_cifar,
    "modular_notebook": write_fake_cifar,
    "modular_animals": lambda folder: write_imagenet(folder / "imagenet"),
    "invariance_mnist": write_fake_mnist,
    "invariance_cifar10": lambda folder: write_fake_cifar(folder, skipped=0),
}
#: what makes one network of modules enough
FEW = ["control=none", "shift.corruptions=[fog]", "shift.severities=[3]", "views=centre"]
#: what makes one pair of the study of invariance enough
ONE = ["model@recipe.model=simple_conv", "seed=0", "study.permutations=19", "study.pictures=1"]
#: a few jobs of the experiments that are sweeps by themselves, and data that need no download
MORE = {
    "layer_widths": ["variant=baseline,192"],
    "layer_widths_question": ["variant=baseline,0", "seed=0,1"],
    "layer_widths_photographs": ["variant=100"],
    "layer_widths_original": ["variant=192", "data@recipe.data=glyphs_small"],
    "modular_cifar100": FEW,
    "modular_thesis": [*FEW, "monolith.data.contrast=per_pixel"],  # zca takes minutes
    "modular_notebook": [*FEW, "monolith.data.contrast=per_pixel", "tree=clustered", "tree.groups=4"],
    "modular_animals": [*FEW, "data@unknown=digits", "unknown.source.size=256", "unknown.caps.test=2"],
    "layer_widths_paper": ["variant=192", "data@recipe.data=glyphs_small"],
    "invariance_mnist": ONE,
    "invariance_cifar10": ONE,
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_composes(name):
    register()
    check_command_line([f"experiment={name}"])
    check_command_line([f"experiment={name}", "debug=tiny"])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_first_line_says_what_it_is(name):
    from src.run import overview

    (line,) = [line for line in overview().partition("\ntasks")[0].splitlines() if line.split()[:1] == [name]]
    assert len(line.split()) > 4


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_runs_tiny(name, run, tmp_path_factory, tiny):
    if name == "patch_weak":
        ran = tiny
    else:
        more = list(MORE.get(name, ()))
        if name in FILES:
            folder = tmp_path_factory.mktemp("files")
            FILES[name](folder)
            more += [f"data_root={folder}"]
        ran = run(tmp_path_factory.mktemp(name), f"experiment={name}", *TINY, *more)
    assert ran.code == 0, ran.text
    assert "Traceback" not in ran.text
    for result in ran.results:
        assert result["status"] == "ok" and not result["error"]
        assert result["verdict"]
        assert result["identity"] == identity(result["config"])
        assert result["folder"].name.endswith(f"-{result['identity'][:8]}")
        assert result["uses"] and set(result["uses"]) <= {entry["digest"] for entry in ran.store}
        assert result["metrics"] and result["tables"]
        for name in result["tables"]:
            assert pq.read_table(result["folder"] / "tables" / f"{name}.parquet").num_rows
        for figure in result["figures"]:
            assert figure["table"] in [*result["tables"], *result["images"]]
        for metric, estimate in result["metrics"].items():
            assert estimate["value"] is not None and math.isfinite(estimate["value"]), metric
    assert ran.results


def test_controls_are_rows_of_the_main_table(tiny):
    methods = pq.read_table(tiny.result["folder"] / "tables" / "patch.parquet").to_pydict()["method"]
    assert len(methods) == len(set(methods)) == 7
    assert {"weak", "patched", "tuned bias", "retrained", "strong network as patch"} <= set(methods)


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "conf" / "task").glob("*.yaml")))
def test_tasks_run_without_an_experiment(name, run, tmp_path):
    ran = run(tmp_path, f"task={name}", *TINY)
    assert ran.code == 0, ran.text
    assert ran.result["task"] == name and ran.result["folder"].parent.name == name
    assert ran.result["status"] == "ok" and ran.result["metrics"]

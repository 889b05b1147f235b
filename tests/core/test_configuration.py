"""A wrong command line is answered in one line that says what is wrong and what would be right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from src.artifacts.options import ComposedOptions
from src.core import redaction
from src.core.configuration import PROVENANCE, identity, options, setting, shrink
from src.core.errors import UserError
from src.core.paths import CONF, ROOT
from src.core.redaction import hide_folders, redacted
from src.core.running import Running
from src.jobs.border import plain
from src.jobs.command_line import check_command_line
from src.jobs.composing import VERSION_BASE
from src.jobs.resolvers import register
from src.networks.models import build
from src.tasks.options import Measure, keys_of

JOB = "experiment=patch_weak"


@pytest.fixture(scope="module", autouse=True)
def _hydra() -> None:
    """What src.run does before it looks at a command line."""
    if str(ROOT / "src" / "plugins") not in sys.path:
        sys.path.insert(0, str(ROOT / "src" / "plugins"))
    register()


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), **VERSION_BASE):
        return compose("config", list(overrides))


def refusal(*arguments: str) -> str:
    with pytest.raises(UserError) as error:
        check_command_line(arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


NO_TASK = "nothing to do: name an experiment (experiment=patch_weak) or a task; --help lists them"
SWEEP = "names several values: add -m to run them all, or quote a list as 'key=[a,b]'"
PAPER, KEEP = "experiment=patch_overfit_cifar", "weak.training.keep_every=1"
CONF_DATA = "to choose another file of conf/data"
TREES = ", ".join(options("tree"))
TASKS = ", ".join(path.stem for path in sorted((ROOT / "conf" / "task").glob("*.yaml")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        # a misspelt experiment, option, group, place of a group, task
        ("experiment=patch_week", "experiment=patch_week: no experiment 'patch_week'; did you mean 'patch_weak'?"),
        (f"{JOB} search=genetc", "search=genetc: no search 'genetc'; did you mean 'genetic'?"),
        (f"{JOB} data@strong.data=cifar1", "data@strong.data=cifar1: no data 'cifar1'; did you mean 'cifar10'?"),
        (f"{JOB} debug=tinny", "debug=tinny: no debug 'tinny'; did you mean 'tiny'?"),
        (f"{JOB} serch=genetic", "serch=genetic: no key 'serch'; did you mean 'search'?"),
        (f"{JOB} data@strong.dat=cifar10", "data@strong.dat: no such place; did you mean 'data@strong.data'?"),
        (f"{JOB} data=cifar10", "data: no such place; known: data@strong.data, data@weak.data"),
        (f"{JOB} hydra/launcher=coress", "no hydra/launcher 'coress'; did you mean 'cores'?"),
        ("task=nothing", f"task=nothing: no task 'nothing'; known: {TASKS}"),
        ("-m experiment=patch_weak,patch_week", "experiment=patch_weak,patch_week: no experiment 'patch_week'; "
         "did you mean 'patch_weak'?"),
        # no name where a group's file is to be named
        ("experiment=robustness subject=null", "subject=null: no subject 'null'; known: "
         f"{', '.join(options('subject'))}"),
        ("experiment=robustness study=null", f"study=null: no study 'null'; known: {', '.join(options('study'))}; your "
         "own is found by own=FOLDER, which holds studies/null/options.py, studies/null/study.py and "
         "conf/study/null.yaml"),
        ("experiment=modular_vs_monolithic tree=null", f"tree=null: no tree 'null'; known: {TREES}"),
        ("experiment=modular_vs_monolithic tree=[]", f"tree=[]: no tree '[]'; known: {TREES}"),
        ("experiment=robustness subject=checkpoint data=null", "data=null: no data 'null'; known: "
         f"{', '.join(options('data'))}"),
        (f"{JOB} search=5", f"search=5: no search '5'; known: {', '.join(options('search'))}"),
        # an epoch that there will not be, or whose weights will not
        (f"{JOB} weak.select=20", "weak.select=20: allowed is 0 to 19, or set weak.training.epochs=21"),
        (f"{JOB} weak.select=3", f"weak.select=3: the weights of this epoch are not kept; set {KEEP}"),
        (f"{PAPER} weak.training.epochs=9", "weak.select=169: allowed is 0 to 8, or set weak.training.epochs=170"),
        (f"{JOB} importance.tap=pool", "importance.tap=pool: allowed is before_pool, after_pool"),
        (f"{JOB} importance.order=l2", "importance.order=l2: allowed is l1, random"),
        (f"{JOB} hydra/launcher=null", "hydra/launcher=null: no hydra/launcher 'null'; known: cores, ray, slurm"),
        # what leads nowhere
        ("-m experiment=patch_weak name=${nowhere}", "name: Interpolation key 'nowhere' not found"),
        (f"{JOB} outputs=null", "outputs=null: allowed is the name of a folder, without ${"),
        (f"{JOB} outputs=7", "outputs=7: allowed is the name of a folder, without ${; as a word it is typed "
         "\"outputs='7'\""),
        (f"{JOB} outputs='a\\${{seed}}'", "outputs=a${seed}: allowed is the name of a folder, without ${"),
        (f"-m {JOB} name='\\${{x}}'", "name=${x}: allowed is words without .. and ${"),
        (f"{JOB} label='\\${{x}}'", "label=${x}: allowed is words without .. and ${"),
        (f"{JOB} seed={2**63}", f"seed={2**63}: allowed is a whole number from 0 to {2**63 - 1}"),
        (f"-m {JOB} name=7", "name=7: allowed is the name of a folder; as a word it is typed \"name='7'\""),
        # a misspelt key
        (f"{JOB} sed=1", "sed=1: no key 'sed'; did you mean 'seed'?"),
        (f"{JOB} strong.training.epoch=3", "strong.training.epoch=3: no key 'strong.training.epoch'; "
         "did you mean 'strong.training.epochs'?"),
        (f"{JOB} strng.training.epochs=3", "strng.training.epochs=3: no key 'strng.training.epochs'; "
         "did you mean 'strong.training.epochs'?"),
        (f"-m {JOB} sed=1,2", "sed=1,2: no key 'sed'; did you mean 'seed'?"),
        # a group overridden by a string
        (f"{JOB} strong.data=cifar10", f"strong.data=cifar10 would replace a whole group by a value; "
         f"write data@strong.data=cifar10 {CONF_DATA}"),
        (f"-m {JOB} weak.data=cifar10,svhn", f"weak.data=cifar10,svhn would replace a whole group by a value; "
         f"write data@weak.data=cifar10 {CONF_DATA}"),
        # another type
        (f"{JOB} strong.training.epochs=many", "strong.training.epochs=many: 'many' stands where a value like 5 "
         "is expected"),
        (f"{JOB} seed=abc", "seed=abc: 'abc' stands where a value like 0 is expected"),
        (f"{JOB} traceback=1", "traceback=1: allowed is true, false, faults"),
        # a value that is not allowed
        (f"{JOB} calibration=plat", "calibration=plat: allowed is platt, min_max, percentile, outlier; "
         "did you mean 'platt'?"),
        (f"{JOB} threads=0", "threads=0: allowed is a whole number from 1"),
        # how it is called
        (f"{JOB} seed=1,2", f"seed=1,2 {SWEEP}"),
        (f"{JOB} target_class=0,1", f"target_class=0,1 {SWEEP}"),
        ("seed=1", NO_TASK),
        ("logger=csv", NO_TASK),
        (f"--config-dir /nowhere/at/all {JOB}", "--config-dir=/nowhere/at/all is no folder; give one that holds config "
         "groups"),
    ],
)  # fmt: skip
def test_what_is_wrong_and_what_would_be_right(arguments: str, message: str):
    assert refusal(*arguments.split()) == message


@pytest.mark.parametrize("line", ["search=[", "nothing", "=3", "--unknown-flag"])
def test_what_cannot_be_read_is_named(line: str):
    assert line.strip("=") in refusal(JOB, line)


def test_a_key_far_from_any_is_refused_too():
    assert refusal(JOB, "nosuch.thing=3").startswith("nosuch.thing=3: no key 'nosuch.thing'; ")


@pytest.mark.parametrize(
    "arguments",
    [
        JOB,
        f"{JOB} seed=3 strong.training.epochs=2 recipe@strong=glyphs_poor_fit logger=csv report=none",
        f"{JOB} debug=tiny strong.training.keep_every=1 strong.data.classes=[0,1]",
        f"-m {JOB} target_class=range(10) hydra/launcher=cores",
        f"-m {JOB} seed=0,1",
        f"{JOB} target_class=[0,1]",
        "task=train model@recipe.model=rescnn",
    ],
)
def test_right_command_lines_pass(arguments: str):
    check_command_line(arguments.split())


def test_a_users_folder_adds_options(tmp_path: Path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("name: simcnn\nwidth: 0.5\n")
    check_command_line(["--config-dir", str(tmp_path), JOB, "model@strong.model=mine"])
    message = refusal("--config-dir", str(tmp_path), JOB, "model@strong.model=min")
    assert message == "model@strong.model=min: no model 'min'; did you mean 'mine'?"
    assert {"mine", "simcnn"} <= set(options("model", [ROOT / "conf", tmp_path]))
    assert "mine" not in options("model")


CONFIG = {"task": "patch", "seed": 0, "strong": {"data": {"root": "/here/data"}, "lr": 0.1}, "classes": [1, 2]}


@pytest.mark.parametrize(
    ("search", "generations", "mutation", "layers"),
    [
        ("paper_simcnn_cifar10", 200, 5.0, ["0", "1", "2", "3", "4", "5", "6"]),
        ("paper_simcnn_svhn", 200, 10.0, ["0", "1", "2", "3", "4", "5", "6"]),
        ("paper_simcnn_svhn5", 100, 10.0, ["0", "1", "2", "3", "4"]),
        ("paper_rescnn_cifar10", 200, 5.0, ["0", "1+3", "4", "5+7"]),
        ("paper_rescnn_svhn", 200, 10.0, ["1+3", "4", "5+7"]),
        ("paper_rescnn_svhn5", 100, 10.0, ["4", "5+7"]),
    ],
)
def test_the_papers_searches_are_careful_with_the_papers_layers(search, generations, mutation, layers):
    model = search.split("_")[1]
    values = plain(composed("experiment=modularize", f"search={search}", f"model@strong.model={model}"))
    assert values["search"]["generations"] == generations and values["search"]["mutation_percent"] == mutation
    assert values["importance"]["tap"] == {"simcnn": "before_pool", "rescnn": "after_pool"}[model]
    network: Any = build({"name": model, "classes": 10, "input_shape": [3, 32, 32], "width": 0.03125})
    names = [group["name"].replace("conv_", "") for group in network.kernel_groups()]
    assert [names[layer] for layer in values["sensitivity"]["layers"]] == layers


@pytest.mark.parametrize(
    ("experiment", "architecture", "target", "epoch", "weak"),
    [
        ("patch_weak_cifar_paper", "simcnn", 0, 99, "simcnn_weak"),
        ("patch_overfit_cifar", "simcnn", 0, 169, "simcnn_poor_fit"),
        ("patch_underfit_cifar", "rescnn", 4, 67, "rescnn_poor_fit"),
        ("patch_weak_svhn", "rescnn", 4, 68, "rescnn_svhn_weak"),
        ("patch_underfit_svhn", "simcnn", 1, 15, "simcnn_poor_fit"),
        ("patch_weak_cifar_paper", "rescnn", "cat", 98, "rescnn_weak"),
    ],
)
def test_architecture_and_target_class_choose_what_the_paper_patched(experiment, architecture, target, epoch, weak):
    values = plain(composed(f"experiment={experiment}", f"architecture={architecture}", f"target_class={target}"))
    assert values["weak"]["select"] == epoch and values["weak"]["model"]["name"] == weak
    assert values["strong"]["model"]["name"] == architecture


@pytest.mark.parametrize(
    ("experiment", "target", "refused"),
    [
        ("patch_weak_cifar_paper", "[cat,0]", "target_class=[cat,0]: each class has an epoch of its own; take one, or"),
        ("patch_weak_cifar_paper", "kat", "target_class=kat: the strong network has no class kat; its classes: 0 air"),
        ("patch_weak_svhn", "5", "target_class=5: the strong network has no class 5; its classes: 0 0, 1 1, 2 2, 3 3,"),
    ],
)
def test_the_papers_epochs_are_of_one_known_class_each(experiment, target, refused):
    config = composed(f"experiment={experiment}", f"target_class={target}")
    with pytest.raises(UserError) as error:
        plain(config)
    assert str(error.value).startswith(refused)
    config.weak.select = "best"
    if "[" in target:
        assert plain(config)["weak"]["select"] == "best"


def test_identity_ignores_provenance_and_order():
    expected = identity(CONFIG)
    assert identity(dict(reversed(CONFIG.items()))) == expected
    assert identity({**CONFIG, "strong": dict(reversed(CONFIG["strong"].items()))}) == expected
    for key in PROVENANCE:
        assert identity({**CONFIG, key: "something"}) == expected, key


def test_the_same_data_below_another_root_are_the_same():
    def config(root, path):
        return {**CONFIG, "data_root": root, "strong": {"data": {"path": path}}}

    expected = identity(config("/a/data", "/a/data/cats/photos"))
    assert identity(config("/b", "/b/cats/photos")) == expected
    assert identity(config("/b", "/b/dogs/photos")) != expected
    assert identity(config("/b", "/elsewhere/cats/photos")) != identity(config("/b", "/elsewhere/dogs/photos"))


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"task": "train"},
        {"strong": {"data": {"root": "/here/data"}, "lr": 0.2}},
        {"strong": {"data": {"root": "/here/other"}, "lr": 0.1}},
        {"classes": [2, 1]},
        {"new": None},
    ],
)
def test_identity_knows_everything_else(other: dict):
    assert identity({**CONFIG, **other}) != identity(CONFIG)


def test_what_was_done_before_there_was_a_choice_is_the_same_job():
    job = {**CONFIG, "importance": {"confidence": 0.9}}
    expected = identity(job)
    assert identity({**job, "importance": {"confidence": 0.9, "tap": "before_pool", "order": "l1"}}) == expected
    for other in ({"tap": "after_pool", "order": "l1"}, {"tap": "before_pool", "order": "random"}):
        assert identity({**job, "importance": {"confidence": 0.9, **other}}) != expected


def test_provenance_further_down_is_identity():
    """Only the job's own keys are provenance; a source may have an option called name."""
    assert identity({"data": {"name": "a"}}) != identity({"data": {"name": "b"}})


def test_shrink_caps_numbers_and_sets_values_wherever_they_stand():
    config = {
        "epochs": 40,
        "strong": {"epochs": 1, "flag": True, "list": [{"epochs": 9.5, "other": 9}]},
        "validation": 0.25,
        "weak": {"epochs": None, "ratios": [1, 2], "nested": {"ratios": {"kept": 1}}},
    }
    rules = {"at_most": {"epochs": 2, "validation": 4, "flag": 0}, "set": {"ratios": [0.5], "absent": 1}}
    shrink(config, rules)
    assert config == {
        "epochs": 2,
        "strong": {"epochs": 1, "flag": True, "list": [{"epochs": 2, "other": 9}]},
        "validation": 0.25,
        "weak": {"epochs": None, "ratios": [0.5], "nested": {"ratios": {"kept": 1}}},
    }
    before = {"epochs": 40}
    shrink(before, {})
    assert before == {"epochs": 40}


def test_what_passes_the_border_is_declared():
    """Variables of interpolations, and what other tasks are told, end there; so does all of Hydra's."""
    config = composed("task=measure", "subject=composed", "study=robustness", "debug=tiny", "width=0.5",
                      "experiment=modular_cifar100", "task=measure")  # fmt: skip
    job = plain(config)
    assert type(job["router"]) is dict and job["router"]["model"]["width"] == 0.0625 and job["tiny"]
    declared = {*keys_of(Running, Measure, ComposedOptions), "task", "tiny"}
    assert set(job) == declared - {"trainer"}
    assert {"width", "shift", "latency_images", "hydra", "shrink", "cifar10_file"}.isdisjoint(job)
    assert set(config) - set(job) > {"width", "shift"}


def test_a_recipe_sets_the_width_of_networks_of_ours_alone():
    """A network of another package is called without it, unless it is typed."""

    def model(*overrides: str) -> dict[str, object]:
        return plain(composed("task=train", *overrides))["recipe"]["model"]

    assert model()["width"] == model("model@recipe.model=rescnn")["width"] == 0.125
    assert model("recipe.model.width=0.5")["width"] == 0.5
    assert model("model@recipe.model=timm") == {"name": "timm:resnet18"}
    assert model("model@recipe.model=python", "recipe.model.name=python:nets:net", "recipe.model.width=3") == {
        "name": "python:nets:net",
        "width": 3,
    }


def test_data_presets_bring_the_paths_of_their_files():
    job = plain(composed("task=patch", "recipe@strong=cifar_strong", "cifar10_file=here.parquet", "data_root=there"))
    assert job["strong"]["data"]["source"]["path"] == "here.parquet"
    assert (
        plain(composed("task=train", "recipe=upright_cifar10", "data_root=there"))["recipe"]["data"]["source"]["path"]
        == "there/cifar10.parquet"
    )


def test_how_a_job_runs_decides_nothing():
    first = plain(composed("task=patch", "workers=2"))
    again = plain(composed("task=patch", "workers=3", "threads=2", "name=elsewhere", "logger=csv", "report=none",
                           "resume_every=5", "traceback=true", "jobs_at_once=2", "outputs=/tmp/elsewhere"))  # fmt: skip
    assert identity(first) == identity(again)
    assert identity(plain(composed("task=patch", "random_draws=6"))) != identity(first)


@pytest.mark.parametrize("value", ["???", "${nowhere}"])
def test_plain_refuses_what_is_not_there(value: str):
    config = composed("task=measure", "subject=checkpoint", "subject.path=x")
    OmegaConf.update(config, "subject.path", value)
    with pytest.raises(UserError, match="path") as error:
        plain(config)
    assert "\n" not in str(error.value)


def test_a_value_of_the_environment_counts_where_it_decides_and_is_never_shown(monkeypatch):
    monkeypatch.setattr(redaction, "_values", {})
    monkeypatch.setattr(redaction, "_folders", {})

    def written(*lines: str, **environment: str) -> dict[str, Any]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        values = plain(composed("task=train", "data@recipe.data=image_folder", "outputs=/home/me/outputs", *lines))
        hide_folders({"~": "/home/me", "outputs": values["outputs"], "data_root": values["data_root"]})
        shown: dict[str, Any] = redacted(values)
        assert identity(shown) == identity(values)
        assert not [text for text in (*environment.values(), "/home/me") if text in str(shown)]
        return shown

    root = "recipe.data.source.root=${oc.env:PHOTOS}/x"
    first, second = written(root, PHOTOS="/mnt/geheim"), written(root, "seed=1", PHOTOS="/mnt/anders")
    assert first["recipe"]["data"]["source"]["root"] == "${oc.env:PHOTOS}/x"
    assert setting(first, ["seed"]) != setting(second, ["seed"]), "two jobs whose hidden values differ are not merged"
    assert setting(first, ["seed"]) == setting(written(root, "seed=1", PHOTOS="/mnt/geheim"), ["seed"])
    below = ("data_root=${oc.env:PHOTOS}", "recipe.data.source.root=${data_root}/x")
    assert identity(written(*below, PHOTOS="/mnt/geheim")) == identity(written(*below, PHOTOS="/mnt/anders"))
    assert "hidden" not in written("logger.notes=${oc.env:PHOTOS}", "recipe.data.source.root=x")

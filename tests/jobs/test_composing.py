"""The sweep's short way to a job's configuration gives what Hydra's long way gives."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from src.core.configuration import identity, options
from src.core.paths import CONF
from src.jobs.border import plain
from src.jobs.composing import Composer, loader_of
from src.jobs.resolvers import SUBDIR

LINES = 3  # of a grid, which share their keys
STEERING = ("seed", "data_seed", "outputs", "data_root", "width", "depth", "features")  # that others repeat
EXPERIMENTS = [path.stem for path in sorted((CONF / "experiment").glob("*.yaml"))]
#: Groups whose files leave the rest of an experiment as it is.
GROUPS = ("data", "model", "optim", "search", "tree")


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("a/b", "a_b"),
        ("x" * 300, "x" * 191),
        ("é" * 300, "é" * 95),
        ("seed0", "seed0"),
    ],
)
def test_a_label_is_one_part_of_a_path_and_no_longer_than_a_name_can_be(composer: Composer, label: str, folder: str):
    line = ["task=train", "debug=tiny", f"label='{label}'"]
    config = composer.compose([])
    (job,) = composer.jobs(config, [line])
    assert not job.fault and job.config["label"] == label, "whole in the result"
    assert job.folder.name == f"{folder}-{identity(job.config)[:8]}" and len(job.folder.name.encode()) <= 200
    assert job.folder.parent.name == "train"


def test_a_seed_that_fits_in_no_table_is_told_of_its_job_alone(composer: Composer):
    lines = [["task=train", f"seed={seed}"] for seed in (2**63 - 1, 2**63)]
    good, bad = composer.jobs(composer.compose([composer.parse("task=train")]), lines)
    assert not good.fault and bad.fault == f"seed={2**63}: allowed is a whole number from 0 to {2**63 - 1}"


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(loader_of())


@pytest.fixture(scope="module")
def masters(composer: Composer) -> dict[str, DictConfig]:
    return {name: composer.compose([composer.parse(f"experiment={name}")]) for name in EXPERIMENTS}


def leaves(config: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of a job's values, also of interpolations and of what is not set yet, and the values where plain."""
    for key, value in config.items_ex(resolve=False):
        if not isinstance(key, str) or (not prefix and key in ("hydra", "task", "shrink", "own", "comparison")):
            continue
        if isinstance(value, DictConfig) and not value._is_interpolation() and not value._is_none():
            yield from leaves(value, f"{prefix}{key}.")
        elif not OmegaConf.is_missing(config, key):
            yield f"{prefix}{key}", config[key] if not OmegaConf.is_interpolation(config, key) else None


def another(value: Any, draw: random.Random) -> str:
    """A value of the same kind, or of any."""
    if isinstance(value, bool):
        return draw.choice(("true", "false"))
    if isinstance(value, int | float):
        return draw.choice((str(draw.randint(0, 99)), str(round(draw.random(), 3)), "1e-7"))
    words = ("null", "'a word'", "[]", "[1, 2, three]", "${seed}", "x${data_seed}y", "{inner: 1}")
    return draw.choice((str(draw.randint(0, 99)), *words))


def grid(config: DictConfig, draw: random.Random) -> list[list[str]]:
    """Some lines of overrides with the same keys: values, lists, null, interpolations, groups, new keys, mappings."""
    known = dict(leaves(config))
    steering = [
        key for key in ("seed", "data_seed", "outputs", "data_root", "width", "depth", "features") if key in known
    ]
    keys = [*draw.sample(sorted(known), draw.randint(1, 4)), draw.choice(steering)]
    kinds = {str(choice) for choice in config.hydra.runtime.choices if str(choice).split("@")[0] in GROUPS}
    chosen = draw.sample(sorted(kinds), min(len(kinds), draw.randint(0, 1)))
    lines = []
    for _ in range(LINES):
        line = [f"{key}={another(known[key], draw)}" for key in dict.fromkeys(keys)]
        line += [f"{place}={draw.choice(options(place.split('@')[0]))}" for place in chosen]
        line += [f"+{draw.choice(keys)}_more={draw.randint(0, 9)}"] if draw.random() < 0.1 else []
        line += [f"++{draw.choice(keys)}={draw.randint(0, 9)}"] if draw.random() < 0.1 else []
        lines.append(draw.sample(line, len(line)))
    return lines


def told(make: Callable[[], Any]) -> Any:
    """What a call gives, or what it refuses."""
    try:
        return make()
    except Exception as error:
        return type(error).__name__, " ".join(str(error).split())[:80]


def values(config: DictConfig) -> dict[str, Any]:
    """Every value of a job, interpolations resolved, and its folder."""

    def plainly(key: str) -> Any:
        value = config[key]
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value

    job = {str(key): told(lambda key=key: plainly(key)) for key in config if key != "hydra"}
    return job | {"folder": told(lambda: f"{config.hydra.sweep.dir}/{config.hydra.sweep.subdir}")}


@pytest.mark.parametrize(
    "seeds", [range(4), pytest.param(range(4, 200), marks=[pytest.mark.slow, pytest.mark.timeout(3000)])], ids=len
)
def test_the_short_way_agrees_with_the_long_way_on_random_grids(
    composer: Composer, masters: dict[str, DictConfig], seeds: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CNN_ANATOMY_OUTPUTS", str(tmp_path))
    whole = 0
    for seed in seeds:
        draw = random.Random(seed)
        name = draw.choice(EXPERIMENTS)
        for drawn in grid(masters[name], draw):
            line = [f"experiment={name}", *drawn]
            expected = told(lambda line=line, name=name: values(composer.loader.load_sweep_config(masters[name], line)))
            shown = told(lambda line=line, name=name: values(composer.job(masters[name], line)))
            assert shown == expected, line
            whole += isinstance(expected, dict)
    assert whole > LINES * len(seeds) // 2  # the rest is refused, both ways in the same words


def test_the_folder_of_a_job_is_known_without_asking_hydra():
    """Another one would be right as well, but planning would take the long way."""
    assert f"subdir: {SUBDIR}\n" in (CONF / "config.yaml").read_text()


@pytest.mark.parametrize(
    "lines",
    [
        [["variant=0", "seed=0"], ["variant=7", "seed=1"], ["variant=baseline", "seed=0"]],
        [["model@recipe.model=vgg", "seed=0"], ["model@recipe.model=vgg_variant", "seed=1"]],
        [["recipe.data.source.size=16", "recipe.data.classes=[0,1]"], ["recipe.data.source.size=32", "seed=2"]],
        [["recipe.data.classes={inner: 1}"], ["recipe.data.classes={other: 1}"], ["recipe.data.classes=null"]],
        [["recipe.training.ghost_batch=16"], ["recipe.training.ghost_batch=null"]],
        [["features=0.5"], ["features=0.25"]],
        [["recipe.data=null", "recipe.data.batch_size=3"], ["recipe.data.batch_size=3", "recipe.data=null"]],
        [["hydra.sweep.subdir='${hydra.job.override_dirname}'", "seed=1"],
         ["hydra.sweep.subdir='${hydra.job.override_dirname}'", "seed=2"]],
    ],
)  # fmt: skip
def test_jobs_are_planned_as_hydra_would_run_them(composer: Composer, masters: dict[str, DictConfig], lines):
    master = masters["layer_widths"]
    grid = [["experiment=layer_widths", *line] for line in lines]
    for job, overrides in zip(composer.jobs(master, grid), grid, strict=True):
        expected = told(lambda overrides=overrides: composer.loader.load_sweep_config(master, overrides))
        config = told(lambda expected=expected: plain(expected))
        if isinstance(config, dict):
            assert job.config == config and not job.fault
            assert str(job.folder) == f"{expected.hydra.sweep.dir}/{expected.hydra.sweep.subdir}"
        else:
            assert job.fault and not job.config

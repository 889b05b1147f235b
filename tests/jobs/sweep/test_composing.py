"""The sweeper's short way to a job's configuration gives what Hydra's long way gives."""

import pytest
from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from src.core.configuration import identity
from src.core.paths import CONF
from src.jobs.border import plain
from src.jobs.resolvers import register
from src.jobs.sweep.composing import Composer
from src.run import ROOT  # noqa: F401  (makes the plugin known)


@pytest.fixture
def loader():
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        yield GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()


@pytest.mark.parametrize(
    "lines",
    [
        [["variant=0", "seed=0"], ["variant=7", "seed=1"], ["variant=baseline", "seed=0"]],
        [["model@recipe.model=vgg", "seed=0"], ["model@recipe.model=vgg_variant", "seed=1"]],
        [["recipe.data.source.size=16", "recipe.data.classes=[0,1]"], ["recipe.data.source.size=32", "seed=2"]],
        [["recipe.training.ghost_batch=16"], ["recipe.training.ghost_batch=null"]],
        [["features=0.5"], ["features=0.25"]],
    ],
)
def test_short_and_long_way_agree(loader: Hydra, lines):
    master = loader.compose_config("config", ["experiment=layer_widths"], run_mode=RunMode.MULTIRUN)
    composer = Composer(master, loader.config_loader)
    for swept in lines:
        overrides = ["experiment=layer_widths", *swept]
        found = composer.compose(overrides, swept)
        expected = loader.config_loader.load_sweep_config(master, overrides)
        assert plain(found) == plain(expected) and identity(plain(found)) == identity(plain(expected))
        assert found.hydra.sweep.subdir == expected.hydra.sweep.subdir

"""One thread for every test and every process that a test starts, and outputs that vanish with the test run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

os.environ["OMP_NUM_THREADS"] = "1"  # before a subprocess or a worker thread asks for it
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that command lines started by tests write to."""
    folder = tmp_path_factory.mktemp("outputs")
    os.environ["CNN_ANATOMY_OUTPUTS"] = str(folder)
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """A test of `prepare` may have asked for more, or for deterministic algorithms."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def real_data() -> Path:
    """The folder of real images beside the checkout; the test is skipped where there is none."""
    folder = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no folder ../shared/data")
    return folder

"""Seeds are pure functions of their parts, and every job starts from the same global state."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.training.determinism import derive, device_of, prepare, seed_everything


def test_a_seed_is_a_pure_function_of_its_parts():
    assert derive("epoch", 0, 3) == derive("epoch", 0, 3)
    # also in another process, where Python's own hash of a string would be another
    code = "from src.training.determinism import derive; print(derive('epoch', 0, 3))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == derive("epoch", 0, 3)


def test_other_parts_give_another_seed():
    parts = [(), (0,), (1,), ("0",), (0, 0), ("epoch", 0), ("epoch", 1), ("fit", 0), ("a", "bc"), ("ab", "c")]
    seeds = [derive(*each) for each in parts]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), torch.rand(()).item()


def test_all_three_generators_are_seeded():
    seed_everything("fit", 0)
    first = drawn()
    assert all(a != b for a, b in zip(first, drawn(), strict=True))
    seed_everything("fit", 0)
    assert drawn() == first
    seed_everything("fit", 1)
    assert all(a != b for a, b in zip(first, drawn(), strict=True))


def test_prepare_undoes_what_a_job_before_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    torch.set_float32_matmul_precision("medium")
    torch.set_grad_enabled(False)
    prepare(threads=2, seed=0)
    first = drawn()
    assert torch.get_num_threads() == 2
    assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()
    assert torch.backends.cudnn.benchmark is False and torch.backends.cudnn.allow_tf32 is False
    assert torch.utils.deterministic.fill_uninitialized_memory is False  # type: ignore[attr-defined]
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.is_grad_enabled()
    prepare(threads=1, seed=0)
    assert torch.get_num_threads() == 1 and drawn() == first
    prepare(threads=1, seed=1)
    assert drawn() != first


def test_to_choose_a_device_starts_no_cuda(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("starts CUDA"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_of("auto") == torch.device("cuda") and device_of("cuda:1").index == 1


def test_a_device_by_name():
    assert device_of("cpu") == torch.device("cpu")
    assert device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    count = torch.cuda.device_count()
    with pytest.raises(UserError, match=rf"^device=cuda:{count}: this machine has {count} GPUs .*device=cpu$"):
        device_of(f"cuda:{count}")

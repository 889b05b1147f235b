"""Ways of running sub-networks: each answers as the network that was cut out, in parts, from threads, to few digits."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.networks.models import build
from src.networks.slicing import extract, native, plan_for
from src.networks.slicing.chain import chain_of
from src.networks.slicing.fused import FusedNetwork
from src.networks.slicing.native import BuildFailed, NativeNetwork, NoCompiler, library
from tests.networks.slicing.nets import at_least_one, tiny

SHAPES = [([3, 32, 32], None), ([3, 16, 16], [1]), ([1, 28, 28], [1, 3, 5]), ([3, 18, 21], [0, 5])]


def network(name: str, shape: list[int], pools: list[int] | None) -> nn.Module:
    torch.manual_seed(0)
    options: dict[str, Any] = {"width": 1 / 16, "pools": pools, "batch_norm": False}
    model = build({"name": name, "classes": 4, "input_shape": shape, **options})
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            if key.endswith("bias"):
                tensor.normal_(0.0, 0.3)
    return model.eval()


@pytest.fixture(params=["fused", "native"])
def kind(request: pytest.FixtureRequest) -> type[Any]:
    if request.param == "native":
        try:
            library()
        except NoCompiler:
            pytest.skip("no C++ compiler")
        return NativeNetwork
    return FusedNetwork


@pytest.mark.parametrize("name", ["simcnn", "rescnn"])
@pytest.mark.parametrize(("shape", "pools"), SHAPES)
@torch.inference_mode()
def test_logits_are_those_of_the_extracted_network(
    kind: type[Any], name: str, shape: list[int], pools: list[int] | None
) -> None:
    model = network(name, shape, pools)
    plan = plan_for(model, shape)
    images = torch.randn(150, *shape)  # more than one block of tiles and more than one batch of maps
    runner = kind(model, plan)
    state = runner.start(images)
    generator = torch.Generator().manual_seed(1)
    for share in (0.3, 0.7, 1.0):
        keep = at_least_one(plan, torch.rand(plan.kernels, generator=generator) < share)
        expected = extract(model, plan, keep)(images)
        scale = expected.std()
        assert (runner.finish(runner.cut(keep), state) - expected).abs().max() < 2e-5 * scale
        one = runner.finish(runner.cut(keep, [2]), state)
        assert one.shape == (150, 1) and (one[:, 0] - expected[:, 2]).abs().max() < 2e-5 * scale
        weights = runner.cut(keep)
        whole = runner.finish(weights, state)
        for boundary in runner.boundaries:
            assert torch.equal(runner.finish(weights, runner.run(weights, state, 0, boundary), boundary), whole)


@torch.inference_mode()
def test_threads_do_not_disturb_each_other(kind: type[Any]) -> None:
    model = tiny("rescnn")
    plan = plan_for(model, [3, 16, 16])
    runner = kind(model, plan)
    state = runner.start(torch.randn(20, 3, 16, 16))
    keep = at_least_one(plan, torch.rand(16, plan.kernels) < 0.6)

    def answer(row: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return runner.finish(runner.cut(row), state).clone()

    alone = [answer(row) for row in keep]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(answer, keep))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


@torch.inference_mode()
def test_digits_are_at_most_twice_as_far_from_float64_as_the_plain_networks(kind: type[Any]) -> None:
    torch.manual_seed(0)
    model = build({"name": "simcnn", "classes": 10, "input_shape": [3, 32, 32], "width": 0.25}).eval()
    plan = plan_for(model, (3, 32, 32))
    images = torch.randn(48, 3, 32, 32)
    runner = kind(model, plan)
    state = runner.start(images)
    distances = []
    for row in at_least_one(plan, torch.rand(4, plan.kernels, generator=torch.Generator().manual_seed(3)) < 0.7):
        slim = extract(model, plan, row)
        plain = slim(images)
        exact = slim.double()(images.double())
        ours = runner.finish(runner.cut(row), state)
        distances.append([(logits - exact).pow(2).mean().sqrt() for logits in (plain, ours)])
    plain_distance, our_distance = torch.tensor(distances).mean(0)
    assert 0 < our_distance <= 2 * plain_distance


@torch.inference_mode()
def test_what_is_no_number_does_not_pass_for_an_answer() -> None:
    model = tiny("simcnn")
    plan = plan_for(model, [3, 16, 16])
    images = torch.randn(5, 3, 16, 16)
    images[2] = torch.nan
    try:
        runner = NativeNetwork(model, plan)
    except NoCompiler:
        pytest.skip("no C++ compiler")
    logits = runner.finish(runner.cut(torch.ones(plan.kernels, dtype=torch.bool)), runner.start(images))
    assert logits.isfinite().all(1).tolist() == [True, True, False, True, True]


def test_what_is_no_chain_is_refused_by_name() -> None:
    model = tiny("simcnn", batch_norm=True)
    plan = plan_for(model, [3, 16, 16])
    with pytest.raises(UserError, match=r"search\.evaluator.*norm_0 \(BatchNorm2d\).*evaluator=functional"):
        chain_of(model, plan)
    with pytest.raises(UserError, match="float32"):
        NativeNetwork(tiny("simcnn").double(), plan_for(tiny("simcnn").double(), [3, 16, 16]))


@pytest.fixture
def anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The code is compiled anew, into an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library.cache_clear()
    yield tmp_path
    library.cache_clear()


def test_without_a_compiler_or_with_one_that_fails(anew: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(NoCompiler, match=r"search\.evaluator=native.*no-such-compiler.*search\.evaluator=fused"):
        library()
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(BuildFailed, match=r"exit code 1.*search\.evaluator=fused"):
        library()
    assert not list(anew.rglob("*.so"))


def test_the_code_is_compiled_once(anew: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        library()
    except NoCompiler:
        pytest.skip("no C++ compiler")
    library.cache_clear()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert library().lanes() in (4, 8, 16)
    assert [path.suffix for path in anew.rglob("*.*")] == [".so"]
    assert native.SOURCE.exists()

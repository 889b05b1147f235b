"""Networks of others: several outputs in training, layers that look into values, excluded layers, images too small."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import list_models

from src.artifacts.learners import tried
from src.core.errors import UserError
from src.networks.models import build
from src.networks.models.foreign import events_of_model
from src.networks.slicing import plan_for
from src.networks.weights import load_weights, save_weights
from src.training.learners.monolithic import Monolithic
from tests.tasks.composing import configured

NETS = """
import random
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Outputs(NamedTuple):
    logits: Tensor
    auxiliary: Tensor


class Several(nn.Module):
    def __init__(self, classes, kind="tuple"):
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Dropout(0.5)
        self.head, self.auxiliary, self.kind = nn.Linear(6, classes), nn.Linear(6, classes), kind

    def forward(self, x):
        features = self.drop(self.norm(self.conv(x))).mean((2, 3))
        logits, other = self.head(features), self.auxiliary(features)
        if not self.training:
            return logits
        return {"tuple": (logits, other), "list": [logits, other], "named": Outputs(logits, other), "none": (),
                "dictionary": {"logits": logits}, "narrow": (logits[:, 1:], other), "one": logits[:1]}[self.kind]


class Looking(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.norm, self.drop, self.head, self.passes = nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Linear(3, classes), 0

    def forward(self, x):
        self.passes += self.training
        scale = random.random() if self.training else 1
        features = self.drop(self.norm(x)).mean((2, 3))
        return self.head(scale * features / (1 + features.abs().max().item()))


class Strict(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(3, classes)

    def forward(self, x):
        if self.training and x.shape[-1] < 16:
            raise ValueError("at least 16 pixels in training")
        return self.head(x.mean((2, 3)))


def lazy(classes):
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(classes))


def listed(classes, exclude=()):
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                           nn.Flatten(), nn.Linear(5, classes))
    layers.given = exclude
    return layers


def plain(classes):
    return listed(classes)
"""
BASE: dict[str, Any] = {"classes": 4, "input_shape": [3, 8, 8]}


@pytest.fixture(autouse=True)
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets_of_others.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)


def net(name: str, **options: Any) -> Any:
    return build({"name": f"python:nets_of_others:{name}", **BASE, **options})


@pytest.mark.parametrize(("kind", "named"), [("tuple", "tuple"), ("list", "list"), ("named", "Outputs")])
def test_of_several_outputs_the_first_is_trained_and_told(kind: str, named: str) -> None:
    model = copy.deepcopy(net("Several", kind=kind)).train()
    model(torch.randn(5, 3, 8, 8)).sum().backward()
    assert model.head.weight.grad is not None and model.auxiliary.weight.grad is None
    assert model.eval()(torch.randn(5, 3, 8, 8)).shape == (5, 4)
    (event,) = events_of_model(nn.Sequential(model, model))
    assert event.startswith(f"in training the network answers with several outputs ({named}): the first is trained")
    learner = Monolithic({"name": "python:nets_of_others:Several", **BASE}, {"name": "sgd", "lr": 0.1})
    assert learner.events == events_of_model(learner.model) and len(learner.events) == 1


def test_a_network_of_one_output_has_nothing_to_tell() -> None:
    model = net("plain")
    assert not events_of_model(model) and not model._forward_hooks


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("none", "answers two images in training with tuple; it has to return logits"),
        ("dictionary", "answers two images in training with dict; it has to return logits (2, 4)"),
        ("narrow", "answers two images in training with (2, 3)"),
        ("one", "answers two images in training with (1, 4)"),
    ],
)
def test_what_cannot_be_trained_is_refused_before(kind: str, says: str) -> None:
    architecture = {"name": "python:nets_of_others:Several", **BASE, "kind": kind}
    assert build(architecture).eval()(torch.randn(2, 3, 8, 8)).shape == (2, 4)  # to be measured it need not train
    for refuses in (tried, lambda architecture: Monolithic(architecture, {"name": "sgd", "lr": 0.1})):
        with pytest.raises(UserError) as refusal:
            refuses(architecture)
        assert says in str(refusal.value) and "\n" not in str(refusal.value)


def test_what_fails_in_training_is_refused_before() -> None:
    with pytest.raises(UserError, match=r"Strict cannot be trained on 3x8x8 images: at least 16 pixels in training$"):
        tried({"name": "python:nets_of_others:Strict", **BASE})
    looking = {"name": "python:nets_of_others:Looking", **BASE}
    state = torch.get_rng_state()
    assert (
        not next(tried(looking).parameters()).is_meta
        and next(tried({**looking, "name": "simple_conv"}).parameters()).is_meta
    )
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["Several", "Looking"])
def test_the_trial_in_training_leaves_no_trace(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are those of the callable, and whatever is drawn next is what would have been."""
    import nets_of_others

    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    def seed() -> None:
        random.seed(3), np.random.seed(3), torch.manual_seed(3)

    seed()
    untouched, expected = getattr(nets_of_others, name)(4), drawn()
    seed()
    model = net(name)
    assert drawn() == expected and model.training
    for key, tensor in untouched.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[key]), key
    assert getattr(model, "passes", 0) == 0


def test_lazy_layers_can_be_trained() -> None:
    model = net("lazy")
    model(torch.randn(5, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_excluded_convolutions_keep_their_kernels() -> None:
    pytest.importorskip("torch_pruning")
    assert [group.name for group in plan_for(net("plain"), (3, 8, 8)).groups] == ["0", "2"]
    assert [group.name for group in plan_for(net("plain", exclude=["2"]), (3, 8, 8)).groups] == ["0"]
    own = net("listed", exclude=["[01]"])  # a callable that has such an option gets it too
    assert own.given == ["[01]"] and [group.name for group in plan_for(own, (3, 8, 8)).groups] == ["2"]
    with pytest.raises(UserError, match=r"^model\.exclude=\['c\*'\]: no convolution fits 'c\*'; known: 0, 2$"):
        net("plain", exclude=["c*"])
    with pytest.raises(UserError, match=r"^model\.exclude=2: allowed is a list of patterns"):
        net("plain", exclude=2)


@pytest.mark.parametrize("name", ["resnet18", "vgg11"])
def test_the_preset_fits_networks_with_and_without_a_stem(name: str, tmp_path: Path) -> None:
    choice = ("model@recipe.model=torchvision", f"recipe.model.name=torchvision:{name}")
    chosen = configured(tmp_path, "task=train", *choice)["recipe"]["model"]
    assert chosen == {"name": f"torchvision:{name}", "small_images": None}
    with torch.device("meta"):
        model = build({**BASE, **chosen, "input_shape": [3, 32, 32]})
    if "res" in name:
        assert isinstance(model.maxpool, nn.Identity) and model.conv1.weight.shape[-1] == 3


def test_the_smallest_image_is_told_where_it_is_known() -> None:
    with pytest.raises(UserError, match=r"3x16x16 image: .*; torchvision says that it takes images from 21 pixels on$"):
        build({"name": "torchvision:squeezenet1_0", "classes": 5, "input_shape": [3, 16, 16]})
    with pytest.raises(UserError, match=r"cannot be trained on 3x75x75 images: [^;]*$"):  # its makers' least
        tried({"name": "torchvision:inception_v3", "classes": 5, "input_shape": [3, 75, 75], "init_weights": False})
    pytest.importorskip("timm")
    with pytest.raises(UserError, match=r"; timm says that it takes images from 224 pixels on$"):
        build({"name": "timm:vit_tiny_patch16_224", "classes": 5, "input_shape": [3, 32, 32]})


#: These want larger images, or have hundreds of millions of parameters and small siblings.
LARGE = ("inception", "maxvit", "vit_h", "vit_l", "regnet_y_128gf", "regnet_y_32gf", "regnet_x_32gf")
FIT = sorted(name for name in list_models(module=torchvision.models) if not name.startswith(LARGE))


def trained_saved_and_loaded(name: str, folder: Path) -> None:
    """A step of training, and the answers of the weights that are read back."""
    options: dict[str, Any] = {"image_size": 64} if name.startswith("vit") else {}
    options |= {"init_weights": False} if name == "googlenet" else {}
    model = {"name": f"torchvision:{name}", "classes": 3, "input_shape": [3, 64, 64], **options}
    torch.manual_seed(0)
    network, images = build(model), torch.randn(3, 3, 64, 64)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    nn.functional.cross_entropy(network(images), torch.arange(3)).backward()
    optimizer.step()
    save_weights(network, folder / "a.safetensors")
    twin = build(model)
    load_weights(twin, folder / "a.safetensors")
    with torch.no_grad():
        assert torch.equal(network.eval()(images), twin.eval()(images))


def test_a_network_with_auxiliary_classifiers_is_trained_saved_and_loaded(tmp_path: Path) -> None:
    trained_saved_and_loaded("googlenet", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FIT)
def test_all_of_torchvision_are_trained_saved_and_loaded(name: str, tmp_path: Path) -> None:
    trained_saved_and_loaded(name, tmp_path)

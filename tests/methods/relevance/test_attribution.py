"""Relevance of whole networks: conserved, batched, without a trace on the network; and the methods without rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.core.errors import UserError
from src.methods.relevance.attribution import Prepared, attribute, check_lrp, relevance_of
from src.methods.relevance.methods import Method, Name
from src.methods.relevance.rewriting import rewritten
from src.networks.models import build
from src.networks.restricted import restricted
from tests.fakes import networks

RULES: tuple[Name, ...] = ("lrp_epsilon", "lrp_z_plus", "lrp_alpha2_beta1", "lrp_gamma")
SHAPE = (3, 32, 32)
OURS: dict[str, dict[str, Any]] = {
    "simcnn": {"width": 0.1},
    "rescnn": {"width": 0.1, "batch_norm": True},
    "simple_conv": {"width": 0.5, "batch_norm": True, "pool": "blur"},
    "simple_conv average": {"width": 0.5, "pool": "average"},
    "vgg_like": {"width": 0.5},
    "all_convolutional": {},
    "resnet": {"width": 0.25, "blocks": [1, 1]},
    "resnet resnext": {"width": 0.25, "blocks": [1, 1], "bottleneck": True, "groups": 4},
    "resnet se_resnext": {"width": 0.25, "blocks": [1, 1], "bottleneck": True, "groups": 4, "squeeze": 4},
    "bagnet": {"width": 0.5},
    "vgg": {"widths": [8] * 15, "skip": True},
}
FOREIGN = ("torchvision:resnet18", "torchvision:resnext50_32x4d", "torchvision:vgg11_bn", "timm:seresnext50_32x4d",
           "timm:tf_efficientnet_lite0")  # fmt: skip


def network(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Random weights and statistics of batch norm that matter."""
    torch.manual_seed(0)
    options = OURS.get(name, {"init_weights": False} if "vgg" in name else {})
    model = build({"name": name.split()[0], "classes": 5, "input_shape": list(SHAPE), **options}).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.get_buffer("running_mean").normal_(0, 0.3)
                module.get_buffer("running_var").uniform_(0.5, 1.5)
                module.weight.uniform_(-0.5, 1.5)
                module.bias.normal_(0, 0.3)
    return model.to(dtype)


def batch_of(count: int = 2, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    images = torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return images.to(dtype), torch.arange(count) % 5


@pytest.mark.parametrize("name", OURS)
def test_relevance_is_conserved(name: str) -> None:
    model, (images, targets) = network(name), batch_of()
    assert torch.allclose(rewritten(model, SHAPE).module(images), model(images), rtol=0, atol=1e-9)
    for rule in RULES:
        # behind an ELU values cross zero, and a small epsilon leaves no digits
        method = Method(rule, epsilon=0.1 if name == "vgg_like" else 1e-6)
        found = relevance_of(model, images, targets, method)
        assert torch.allclose(found.total, found.start, rtol=1e-3, atol=0), rule
    flat = relevance_of(model, images, targets, Method("lrp_z_plus", "flat"))
    assert torch.allclose(flat.total, flat.start, rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", FOREIGN)
def test_relevance_of_other_packages_networks_is_conserved(name: str) -> None:
    model, (images, targets) = network(name, torch.float32), batch_of(1, torch.float32)
    explain = Prepared(model, Method("lrp_z_plus"), SHAPE)
    with torch.no_grad():
        assert torch.allclose(explain.model(images), model(images), rtol=1e-4, atol=1e-5)
    found = explain(images, targets)
    assert torch.allclose(found.total, found.start, rtol=1e-3, atol=0)


def test_without_biases_z_plus_is_conserved_and_with_them_it_is_not() -> None:
    model, (images, targets) = network("simple_conv"), batch_of()
    zero, keep = (relevance_of(model, images, targets, Method("lrp_z_plus", biases=b)) for b in ("zero", "keep"))
    assert torch.allclose(zero.total, zero.start, rtol=1e-3, atol=0)
    assert not torch.isclose(keep.total, keep.start, rtol=1e-2, atol=0).any()


def test_shared_biases_leave_relevance_bounded_where_zeroed_ones_do_not() -> None:
    model, (images, targets) = network("resnet"), batch_of()
    shared, zeroed = (relevance_of(model, images, targets, Method("lrp_epsilon", biases=b)) for b in ("share", "zero"))
    largest = [float((each.maps.abs().amax((1, 2)) / each.start.abs()).max()) for each in (shared, zeroed)]
    assert largest[0] < 0.1 and largest[1] > 1


def test_the_box_of_a_subject_is_black_and_white() -> None:
    subject, images = networks.subject(), networks.images(2)
    low, high = (subject.normalise(torch.full((1, 3, 12, 12), value, dtype=torch.uint8)) for value in (0, 255))
    targets, method = torch.tensor([0, 1]), Method("lrp_z_plus", "z_box")
    wanted = relevance_of(subject.model, subject.normalise(images), targets, method, bounds=(low, high))
    assert torch.allclose(attribute(subject, images, targets, method).maps, wanted.maps, atol=1e-6)
    with pytest.raises(UserError, match="contrast"):
        attribute(replace(subject, contrast="global"), images, targets, method)


def test_a_restricted_network_explains_the_same_class() -> None:
    subject, images, method = networks.subject(), networks.images(2), Method("lrp_z_plus")
    whole = attribute(subject, images, torch.tensor([2, 0]), method)
    some = attribute(restricted(subject, [2, 0]), images, torch.tensor([0, 1]), method)
    assert torch.allclose(whole.maps, some.maps, atol=1e-6)


def test_an_affine_layer_of_its_own_is_shared_out_in_proportion() -> None:
    # x = (1, 2) - ELU - 3 x + 1 - sum with weights 1: logit 4 + 7
    model = (
        nn.Sequential(nn.Conv2d(1, 1, 1), nn.ELU(), nn.BatchNorm2d(1, eps=0), nn.Flatten(), nn.Linear(2, 1))
        .eval()
        .double()
    )
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), (1, 0, 3, 1, 1, 0), strict=True):
            parameter.fill_(value)
    images = torch.tensor([[[[1.0, 2.0]]]], dtype=torch.float64)
    kept = relevance_of(model, images, torch.tensor([0]), Method("lrp_epsilon", biases="keep"))
    assert kept.maps.flatten().tolist() == pytest.approx([3, 6], rel=1e-4)
    shared = relevance_of(model, images, torch.tensor([0]), Method("lrp_epsilon"))
    assert shared.maps.flatten().tolist() == pytest.approx([4, 7], rel=1e-4)


@pytest.mark.parametrize("name", get_args(Name))
def test_a_batch_is_one_by_one_and_leaves_the_network_as_it_was(name: Name) -> None:
    subject = networks.subject(batch_norm=True)
    model, images, targets = subject.model, networks.images(3), torch.tensor([0, 2, 1])
    model.train()
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    together = attribute(subject, images, targets, Method(name), batch=3)
    singly = attribute(subject, images, targets, Method(name), batch=1)
    assert torch.allclose(together.maps, singly.maps, rtol=1e-3, atol=1e-5)
    assert together.maps.shape == (3, 12, 12) and together.maps.dtype == torch.float32
    assert together.start.isnan().all() == (name in ("gradient", "gradient_x_input", "grad_cam", "occlusion"))
    after = model.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[key], before[key]) for key in before)
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())
    assert not calls and len(model._forward_hooks) == 1


def test_an_error_in_the_middle_leaves_no_hooks() -> None:
    subject = networks.subject(batch_norm=True)
    explain = Prepared(subject.model, Method("lrp_z_plus"), subject.input_shape)
    with pytest.raises(RuntimeError):
        explain(torch.zeros(1, 3, 12, 12), torch.tensor([99]))
    for module in (*explain.model.modules(), *subject.model.modules()):
        assert not module._forward_hooks and not module._forward_pre_hooks
    assert all(parameter.requires_grad for parameter in subject.model.parameters())


class Preactivated(nn.Module):
    """A layer in place overwrites what the sum reads."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.head((x + self.conv(self.relu(x))).mean((2, 3)))


class Functional(nn.Module):
    """Everything by functions, with sizes as arguments; one ReLU and one convolution serve twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.same, self.norm = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x), inplace=True)
        y = F.leaky_relu(self.norm(self.same(x)), 0.1)
        x = F.max_pool2d(torch.add(x, self.same(y)).relu_(), 2)
        x = F.dropout(x * torch.sigmoid(x.mean((2, 3), keepdim=True)), training=self.training)
        return self.head(F.avg_pool2d(x, x.size(3)).view(x.size(0), -1))


def test_functions_are_attributed_as_modules_are() -> None:
    torch.manual_seed(0)
    model, images = Functional().double().eval(), torch.randn(2, 3, 10, 10, dtype=torch.float64)
    for rule in RULES:
        found = relevance_of(model, images, torch.tensor([0, 3]), Method(rule))
        assert torch.allclose(found.total, found.start, rtol=1e-3, atol=0), rule


REFUSED = {
    "torchvision:densenet121": "cat",
    "torchvision:vit_b_16": "LayerNorm",
    "torchvision:convnext_tiny": "layer_norm",
    "maxout": r"\(Maxout\)",
    "p4_conv": "OrientationMax",
    "spatial_transformer": "grid_sample",
    "ti_pooling": "CopyMax",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_rule_is_known_for_is_refused_by_name(name: str) -> None:
    options: dict[str, Any] = {"image_size": 32} if "vit" in name else {"width": 0.1} if name == "maxout" else {}
    model = build({"name": name, "classes": 5, "input_shape": list(SHAPE), **options})
    with pytest.raises(UserError, match=REFUSED[name]) as refusal:
        check_lrp(model, SHAPE, name)
    assert name in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_copy_that_answers_otherwise_is_refused() -> None:
    torch.manual_seed(0)
    with pytest.raises(UserError, match="in place"):
        check_lrp(Preactivated(), (3, 8, 8))


def test_gradients_are_autograds_and_integrated_ones_complete() -> None:
    model, (images, targets) = network("simple_conv average"), batch_of()
    values = images.clone().requires_grad_()
    logits = model(values).gather(1, targets[:, None])
    (slopes,) = torch.autograd.grad(logits.sum(), values)
    assert torch.allclose(relevance_of(model, images, targets, Method("gradient")).maps, slopes.sum(1).float())
    product = relevance_of(model, images, targets, Method("gradient_x_input")).maps
    assert torch.allclose(product, (slopes * images).sum(1).float())
    integrated = relevance_of(model, images, targets, Method("integrated_gradients", steps=128))
    with torch.no_grad():
        difference = logits[:, 0] - model(images * 0).gather(1, targets[:, None])[:, 0]
    assert torch.allclose(integrated.start, difference)
    assert torch.allclose(integrated.total, difference, atol=0.05 * float(difference.abs().max()))


def test_grad_cam_by_its_formula() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True))
    head = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 9, 3))
    images = torch.randn(2, 3, 6, 6)
    maps = body(images).detach().requires_grad_()
    (slopes,) = torch.autograd.grad(head(maps)[:, 1].sum(), maps)
    wanted = (slopes.mean((2, 3), keepdim=True) * maps).sum(1).relu().detach()
    found = relevance_of(nn.Sequential(body, head), images, torch.tensor([1, 1]), Method("grad_cam"))
    assert wanted.max() > 0 and torch.allclose(found.maps, wanted, atol=1e-6)  # the map is as large as the image


def test_occlusion_by_brute_force() -> None:
    model, (images, targets) = network("bagnet"), batch_of(1)
    side = 8
    drops, counts = torch.zeros(32, 32, dtype=torch.float64), torch.zeros(32, 32)
    with torch.no_grad():
        whole = model(images)[0, targets[0]]
        for row in range(0, 32 - side + 1, side // 2):
            for column in range(0, 32 - side + 1, side // 2):
                covered = images.clone()
                place = (slice(row, row + side), slice(column, column + side))
                covered[:, :, place[0], place[1]] = 0
                drops[place] += whole - model(covered)[0, targets[0]]
                counts[place] += 1
    found = relevance_of(model, images, targets, Method("occlusion", window=side / 32))
    assert torch.allclose(found.maps[0], (drops / counts).float(), atol=1e-6)

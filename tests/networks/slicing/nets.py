"""Tiny networks for the tests of slicing: right ones of several kinds, and ones that cannot be cut."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from src.networks.models import build
from src.networks.slicing import SlicePlan

SHAPE = (3, 8, 8)
#: no slice plan yet: of maxout the pieces of a unit stand or fall together; the others are measured, not cut
UNSLICED = (
    *("maxout", "simple_conv", "all_convolutional", "vgg_like", "resnet"),
    *("p4_conv", "ti_pooling", "spatial_transformer"),
)


def at_least_one(plan: SlicePlan, keep: Tensor) -> Tensor:
    """A copy of ``keep`` bool (..., K) in which a group without kernels keeps its first one."""
    keep = keep.clone()
    for part in plan.slices():
        keep[..., part.start] |= ~keep[..., part].any(-1)
    return keep


def conv(inputs: int, outputs: int, **options: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)  # type: ignore[arg-type]


def tiny(name: str = "simcnn", batch_norm: bool = False, width: float = 0.03125) -> nn.Module:
    """One of our networks at the smallest useful size, with biases that are not zero."""
    torch.manual_seed(0)
    weak = name.endswith("weak")  # has few pools, and few kernels
    shape = {"width": 8 * width, "pools": None} if weak else {"width": width, "pools": [1]}
    model = build({"name": name, "classes": 4, "input_shape": [3, 16, 16], "batch_norm": batch_norm, **shape})
    with torch.no_grad():
        for key, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if key.endswith(("bias", "running_mean")):
                tensor.normal_(0.0, 0.3)
            elif key.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
    return model.eval()


class ConcatAfterFlatten(nn.Module):
    """Two maps of different sizes, flattened, then joined."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(3, 6), conv(3, 6, stride=2)
        self.fc = nn.Linear(6 * 64 + 6 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.cat([self.a(x).relu().flatten(1), self.b(x).relu().flatten(1)], dim=1))


class ConcatWithImage(nn.Module):
    """A map joined with the image."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(3, 16), conv(19, 8)
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.b(torch.cat([self.a(x).relu(), x], dim=1)).relu().mean((2, 3)))


class HardCodedView(nn.Module):
    """A view with the full number of features."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.fc = conv(3, 8), nn.Linear(8 * 64, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.a(x).relu().view(-1, 512))


class BareScale(nn.Module):
    """A parameter per channel outside any layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.fc = conv(3, 8), nn.Linear(8, 4)
        self.scale = nn.Parameter(torch.randn(1, 8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc((self.a(x).relu() * self.scale).mean((2, 3)))


class MeanGate(nn.Module):
    """A gate from the mean over channels: statistics across kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.fc = conv(3, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x).relu()
        return self.fc((x * x.mean(1, keepdim=True).sigmoid()).mean((2, 3)))


class Normalised(nn.Module):
    """Group norm over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.fc = conv(3, 8), nn.GroupNorm(2, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.a(x)).relu().mean((2, 3)))


class Grouped(nn.Module):
    """A convolution in two groups."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.fc = conv(3, 8), conv(8, 8, groups=2), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.b(self.a(x).relu()).relu().mean((2, 3)))


class Detached(nn.Module):
    """A branch that autograd, and so the tracing, does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.fc = conv(3, 8), conv(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x).relu()
        return self.fc((x + self.b(x).detach()).mean((2, 3)))


class Separable(nn.Module):
    """Depthwise and pointwise convolutions with batch norm, and a convolution as classifier input."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm_a = conv(3, 8, bias=False), nn.BatchNorm2d(8)
        self.depth, self.norm_d = conv(8, 8, groups=8, bias=False), nn.BatchNorm2d(8)
        self.point = nn.Conv2d(8, 12, 1)
        self.fc = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_a(self.a(x)).relu()
        x = self.norm_d(self.depth(x)).relu()
        return self.fc(self.point(x).relu().mean((2, 3)))


class Described(nn.Module):
    """Two convolutions and a linear layer whose self-description the test chooses."""

    def __init__(self, groups: list[dict[str, object]] | None = None) -> None:
        super().__init__()
        self.a, self.relu_a, self.b, self.relu_b = conv(3, 6), nn.ReLU(), conv(6, 6), nn.ReLU()
        self.fc = nn.Linear(6 * 64, 4)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.relu_b(self.b(self.relu_a(self.a(x)))).flatten(1))

    def kernel_groups(self) -> list[dict[str, object]]:
        right: list[dict[str, object]] = [
            {"name": "a", "size": 6, "members": ["a"], "norms": [], "tap": "relu_a", "consumers": {"b": 1}},
            {"name": "b", "size": 6, "members": ["b"], "norms": [], "tap": "relu_b", "consumers": {"fc": 64}},
        ]
        return self.groups or right


class Aliased(nn.Module):
    """A block under two names, and one tensor in two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU())
        self.stages = nn.ModuleList([self.layer1])
        self.b, self.c, self.fc = conv(8, 8), conv(8, 8), nn.Linear(8, 4)
        self.c.weight = self.b.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.c(self.b(self.stages[0](x)).relu()).relu().mean((2, 3)))


class Attending(nn.Module):
    """Two convolutions, the second of which an encoder layer reads place by place."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.fc = conv(3, 8), conv(8, 16), nn.Linear(16, 4)
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.encoder(self.b(self.a(x).relu()).flatten(2).transpose(1, 2)).mean(1))


class Bare(nn.Module):
    """Its first convolution is a function of a parameter that no layer holds."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.b, self.fc = nn.Parameter(torch.randn(8, 3, 3, 3)), conv(8, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.b(nn.functional.conv2d(x, self.kernels).relu()).relu().mean((2, 3)))

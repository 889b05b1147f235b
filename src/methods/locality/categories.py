"""From the classes of a network's head to the categories that decisions are counted in."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion

#: The 16 categories of Geirhos et al. (ICLR 2019, arXiv:1811.12231), their members among ImageNet's 1000 classes as
#: first and last of runs; 207 in all.
SIXTEEN: dict[str, Sequence[tuple[int, int]]] = {
    "airplane": [(404, 404)],
    "bear": [(294, 297)],
    "bicycle": [(444, 444), (671, 671)],
    "bird": [(8, 8), (10, 16), (18, 20), (22, 24), (80, 83), (87, 96), (98, 100), (127, 133), (135, 145)],
    "boat": [(472, 472), (554, 554), (625, 625), (814, 814), (914, 914)],
    "bottle": [(440, 440), (720, 720), (737, 737), (898, 899), (901, 901), (907, 907)],
    "car": [(436, 436), (511, 511), (817, 817)],
    "cat": [(281, 286)],
    "chair": [(423, 423), (559, 559), (765, 765), (857, 857)],
    "clock": [(409, 409), (530, 530), (892, 892)],
    "dog": [(152, 191), (193, 203), (205, 226), (228, 241), (243, 250), (252, 257), (259, 259), (261, 263), (265, 268)],
    "elephant": [(385, 386)],
    "keyboard": [(508, 508), (878, 878)],
    "knife": [(499, 499)],
    "oven": [(766, 766)],
    "truck": [(555, 555), (569, 569), (656, 656), (675, 675), (717, 717), (734, 734), (864, 864), (867, 867)],
}

#: Class of another data set (CIFAR-10) -> the category that it is.
SYNONYMS = {"automobile": "car", "ship": "boat"}

Members = Mapping[str, Sequence[int]]


def sixteen() -> dict[str, list[int]]:
    """Category -> numbers of its ImageNet classes."""
    return {name: [k for first, last in runs for k in range(first, last + 1)] for name, runs in SIXTEEN.items()}


def members_of(categories: Sequence[str], classes: Sequence[str]) -> dict[str, list[int]]:
    """What a head's outputs belong to: the class of a category's name, or for 1000 outputs ImageNet's.

    Categories that are no class of the head are left out.

    Raises:
        UserError: fewer than two categories are classes of the head.
    """
    if len(classes) == 1000 and set(categories) <= set(SIXTEEN):
        mapped = sixteen()
        return {name: mapped[name] for name in categories}
    numbers = {SYNONYMS.get(name, name): number for number, name in enumerate(classes)}
    numbers |= {name: number for number, name in enumerate(classes)}
    known = {name: [numbers[name]] for name in categories if name in numbers}
    if len(known) < 2:
        missing = next(name for name in categories if name not in known)
        raise UserError(
            f"the network has no class '{missing}', which the images show, and knows {len(known)} of their "
            f"{len(categories)} categories, where two are needed; {suggestion(missing, classes)[:200]}"
        )
    return known


#: how the probabilities of a category's members become one number; the published rule is the mean
RULES: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda members: members.mean(1),
    "sum": lambda members: members.sum(1),
    "max": lambda members: members.amax(1),
}


def category_scores(probabilities: Tensor, members: Members, rule: str = "mean") -> Tensor:
    """(n, categories): of the probabilities (n, N) of all of the head's classes, which are not renormalised."""
    index = {name: torch.tensor(numbers, device=probabilities.device) for name, numbers in members.items()}
    return torch.stack([RULES[rule](probabilities[:, numbers]) for numbers in index.values()], 1)

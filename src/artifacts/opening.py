"""What a page says and shows first of networks and their images, in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from src.core.result import Figure, Opening, Panel
from src.data.image_set import ImageSet
from src.imageops.sheets import contact_sheet, thumbnails
from src.networks.options import family
from src.networks.subjects import Subject

SHOWN = 24  # images of a sample
IN_A_BOX = 4  # of a step's picture
LINE = 9  # images side by side
PICTURED = 36  # images of a sheet

#: What the images of our sources show; of any other source its name is said.
IMAGES = {
    "glyphs": "drawn shapes",
    "digits": "handwritten digits",
    "mnist": "handwritten digits (MNIST)",
    "kmnist": "handwritten Japanese characters (KMNIST)",
    "fashion_mnist": "pieces of clothing (Fashion-MNIST)",
    "cifar10": "small photographs (CIFAR-10)",
    "cifar100": "small photographs (CIFAR-100)",
    "svhn": "house numbers (SVHN)",
    "imagenet": "photographs (ImageNet)",
    "image_folder": "your images",
    "parquet": "the images of a parquet file",
}

#: Names of the field for what configurations call in small letters.
NETWORKS = {
    "simcnn": "SimCNN",
    "simcnn_weak": "small CNN",
    "simcnn_svhn_weak": "small CNN",
    "simcnn_poor_fit": "SimCNN that fits poorly",
    "rescnn": "ResCNN",
    "rescnn_weak": "small ResCNN",
    "rescnn_svhn_weak": "small ResCNN",
    "rescnn_poor_fit": "ResCNN that fits poorly",
    "vgg": "VGG",
    "resnet": "ResNet",
    "se_resnet": "SE-ResNet",
    "resnext": "ResNeXt",
    "se_resnext": "SE-ResNeXt",
    "simple_conv": "SimpleConv",
    "all_convolutional": "all-convolutional network",
    "vgg19": "VGG-19",
    "vgg_module": "small VGG",
    "vgg_like": "VGG-like network",
    "bagnet": "BagNet",
    "maxout": "maxout network",
    "p4_conv": "rotation-equivariant network",
    "spatial_transformer": "spatial transformer",
    "ti_pooling": "TI-pooling network",
}


def images_said(data: Mapping[str, Any]) -> str:
    """What a data section's images show: "drawn shapes"."""
    source = data.get("source", data)
    name = str(source.get("names") or source.get("name") or "images")
    return IMAGES.get(name, name)


def network_said(subject: Subject | Mapping[str, Any]) -> str:
    """What the field calls the network, or the architecture: "SimCNN"."""
    name = family(subject.architecture if isinstance(subject, Subject) else subject)
    return NETWORKS.get(name, name.rsplit(":", 1)[-1])


def with_article(name: str) -> str:
    """``a SimCNN``, ``an SE-ResNet``."""
    return f"{'an' if name[:1].lower() in 'aeiou' or name.startswith('SE-') else 'a'} {name}"


def subject_said(subject: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """What a measure examines, before it is there: "the modules of a SimCNN".

    Args:
        subject: its section of the configuration. recipe: of the network that its images are of, where it has one.
    """
    kind, kernels = str(subject["kind"]), subject.get("kernels")
    if kind == "composed":
        return "a network of modules"
    if kind == "checkpoint":
        return f"the network in '{Path(str(subject['path'])).name}'"
    if not recipe.get("model"):
        return str(subject["model"])
    model = with_article(network_said(recipe["model"]))
    if kind == "patched":
        return f"{model} with a patch"
    if kind == "variant":
        return f"{model} with other layer widths"
    if kind == "extracted" and kernels != "all":
        return f"{'the modules' if kernels == 'searched' else 'random parts'} of {model}"
    return model


def with_guessing(opening: Opening, metric: str, classes: int) -> Opening:
    """The opening with what guessing among ``classes`` reaches, in its text and where it says what ``metric`` means."""
    said = f"Of {classes} classes, guessing names {1 / classes:.1%} right."
    terms = {**opening.terms, metric: f"{opening.terms[metric]} {said}"}
    return replace(opening, text=f"{opening.text} {said}", terms=terms)


def listed(names: Sequence[str], most: int = 3) -> str:
    """``'disc' and 'bar'``, of many the first: ``'disc', 'bar' and 8 more``."""
    quoted = [f"'{name}'" for name in names]
    if len(quoted) > most:
        return f"{', '.join(quoted[: most - 1])} and {len(quoted) - most + 1} more"
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def sample(name: str, images: ImageSet, title: str, section: str = "") -> Panel:
    """Images of all classes in turn, with their classes."""
    counts = images.per_class.tolist()
    there = [label for label, count in enumerate(counts) if count][:SHOWN]
    per_class = max(1, min(2, SHOWN // max(1, len(there))))
    rows = torch.cat([(images.labels == label).nonzero().flatten()[:per_class] for label in there])
    labels = [images.classes[label] for label in images.labels[rows].tolist()]
    more = f"{len(there)} of {len(counts)} classes. " if len(there) < len(counts) else ""
    caption = f"{more}As the networks see them, before normalisation."
    return sheet(name, images.images[rows], labels, title, caption, section, together=per_class)


def sheet(
    name: str,
    images: torch.Tensor,
    labels: Sequence[str],
    title: str,
    caption: str = "",
    section: str = "",
    together: int = 1,
) -> Panel:
    """Images uint8 (n, C, H, W) with a label each; the first of them that a page has room for.

    Lines end between groups of so many that belong ``together``.
    """
    shown = tuple(labels[:PICTURED])
    columns = min(max(LINE // together, 1) * together, len(shown))
    figure = Figure("image", name, title, caption, labels=shown, columns=columns)
    lines = -(-len(shown) // columns)
    return Panel(section, name, thumbnails(images[: len(shown)], columns, lines), figures=[figure])


def picture(name: str, images: torch.Tensor) -> Panel:
    """A few images (n, C, H, W) for a box in the drawing of what was done."""
    few = images[:: max(1, len(images) // IN_A_BOX)][:IN_A_BOX]
    whole = contact_sheet(few, IN_A_BOX, 1, 1) if max(few.shape[-2:]) <= 48 else thumbnails(few, IN_A_BOX, 1)
    return Panel("", name, whole)

"""Perturbations, predictions and relevance: ours, batched, against a pipeline that takes one image at a time.

    uv run python -m tests.benchmarks.locality --size 24 --images 200
    uv run python -m tests.benchmarks.locality --size 224 --images 12 --network torchvision:resnet18
    uv run python -m tests.benchmarks.locality --relevance lrp_z_plus --size 32 --images 64

The pipeline is written as its users write it: an image is changed with numpy and scipy, saved as PNG, which loses
nothing, read again, normalised, and predicted alone, in evaluation and inference mode. Both run the same operations on
the same images with one thread, in turn within one run, round after round. Only ratios are printed: how many times as
long the pipeline takes for perturbing alone, and for perturbing and predicting.

With `--relevance` layer-wise relevance of all images in one batch is timed against one image at a time, as its users
write it: for each image the copy is made, batch norm folded and hooks put on. A third way, the copy made once and the
images given to it one by one, tells what the batch alone saves.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from src.methods.locality.perturbations import Perturbation, perturb
from src.methods.relevance.attribution import Prepared, attribute
from src.methods.relevance.methods import METHODS, Method
from src.networks.activations import predict
from src.networks.models import build
from src.networks.subjects import Subject

#: operation -> (the level at a side of 24 pixels that the pipeline's function below takes too)
SHUFFLE, BLUR, GREY, PATCH = "block_shuffle", "low_pass", "grayscale", "mask_checker_mean"


def shuffled(image: np.ndarray, side: int, draw: np.random.Generator) -> np.ndarray:
    """Blocks of one image (H, W, 3) change places."""
    rows, columns = image.shape[0] // side, image.shape[1] // side
    places = [(row, column) for row in range(rows) for column in range(columns)]
    result = np.empty_like(image)
    for (row, column), number in zip(places, draw.permutation(len(places)), strict=True):
        above, left = places[number]
        result[row * side : (row + 1) * side, column * side : (column + 1) * side] = (
            image[above * side : (above + 1) * side, left * side : (left + 1) * side]
        )  # fmt: skip
    return result


def blurred(image: np.ndarray, sigma: float, _: np.random.Generator) -> np.ndarray:
    """A Gaussian on one image."""
    return gaussian_filter(image.astype(np.float32), (sigma, sigma, 0)).round().clip(0, 255).astype(np.uint8)


def greyed(image: np.ndarray, share: float, _: np.random.Generator) -> np.ndarray:
    """Grey mixed into one image."""
    grey = (image @ np.array([0.299, 0.587, 0.114]))[..., None]
    return (image + share * (grey - image)).round().clip(0, 255).astype(np.uint8)


def masked(image: np.ndarray, side: int, _: np.random.Generator) -> np.ndarray:
    """Every second patch of one image in its mean colour."""
    result, count = image.copy(), image.shape[0] // side
    border = (image.shape[0] - (count - 1 + count % 2) * side) // 2
    for row in range(0, count - 1 + count % 2, 2):
        for column in range(0, count - 1 + count % 2, 2):
            above, left = border + row * side, border + column * side
            result[above : above + side, left : left + side] = image.mean((0, 1)).round()
    return result


OPERATIONS: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    SHUFFLE: lambda image, level, draw: shuffled(image, int(level), draw),
    BLUR: blurred,
    GREY: greyed,
    PATCH: lambda image, level, draw: masked(image, int(level), draw),
}


class Pipeline:
    """One image after the other, through files."""

    def __init__(self, images: Tensor, folder: Path) -> None:
        self.folder = folder
        self.images = [image.permute(1, 2, 0).numpy() for image in images]

    def run(self, name: str, level: float, model: nn.Module | None) -> None:
        files = self.perturb(name, level)
        if model is not None:
            self.predict(files, model)

    def perturb(self, name: str, level: float) -> list[Path]:
        draw, written = np.random.default_rng(0), []
        for number, image in enumerate(self.images):
            path = self.folder / f"{name}_{number}.png"
            Image.fromarray(OPERATIONS[name](image, level, draw)).save(path)
            written.append(path)
        return written

    def predict(self, files: list[Path], model: nn.Module) -> list[int]:
        answers = []
        with torch.inference_mode():
            for path in files:
                pixels = torch.from_numpy(np.asarray(Image.open(path)).copy()).permute(2, 0, 1).float() / 255
                answers.append(int(model(((pixels - 0.5) / 0.25).unsqueeze(0)).argmax()))
        return answers


def ours(images: Tensor, name: str, level: float, subject: Subject | None) -> None:
    """The same, as the studies do it."""
    changed = perturb(images, Perturbation(name, level))
    if subject is not None:
        predict(subject.model, subject.normalise(changed), len(changed))


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def relevance(images: Tensor, subject: Subject, method: Method, rounds: int) -> None:
    """Prints how many times as long one image at a time takes, and milliseconds per image in a batch."""
    targets = torch.zeros(len(images), dtype=torch.long)
    singly = list(zip(images.split(1), targets.split(1), strict=True))

    def once() -> None:
        explain = Prepared(subject.model, method, subject.input_shape)
        for image, target in singly:
            explain(subject.normalise(image), target)

    def anew() -> None:
        for image, target in singly:
            attribute(subject, image, target, method)

    ratios: dict[str, list[float]] = {"one by one": [], "one by one, copy made once": []}
    batched: list[float] = []
    for round_number in range(rounds + 1):
        mine = seconds(lambda: attribute(subject, images, targets, method, batch=len(images)))
        theirs = [seconds(anew), seconds(once)]
        if round_number:  # the first one warms up
            batched.append(1000 * mine / len(images))
            for values, time_taken in zip(ratios.values(), theirs, strict=True):
                values.append(time_taken / mine)
    for what, values in ratios.items():
        print(f"{what:28} {statistics.median(values):6.1f}   [{min(values):.1f}, {max(values):.1f}]")
    print(f"{'ms per image, batched':28} {statistics.median(batched):6.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=24)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--network", default="simple_conv", help="simple_conv as in experiment=local_global, or a name")
    parser.add_argument("--rounds", type=int, default=5)
    lrp = [name for name in METHODS if Method(name).layer_wise]
    parser.add_argument("--relevance", choices=lrp, help="time this method instead of perturbations")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (given.images, 3, given.size, given.size), dtype=torch.uint8)
    options = {"width": 0.5, "batch_norm": True, "pools": [1, 2, 3, 4]} if given.network == "simple_conv" else {}
    architecture = {"name": given.network, "classes": 5, "input_shape": [3, given.size, given.size], **options}
    model = build(architecture).eval()
    subject = Subject(model, architecture, tuple("abcde"), (0.5,) * 3, (0.25,) * 3)
    if given.relevance:
        print(
            f"{given.network}, {given.relevance}, {given.images} images of {given.size} px, one thread; times as long"
        )
        relevance(images, subject, Method(given.relevance), given.rounds)
        return
    levels = {SHUFFLE: given.size // 4, BLUR: 1.5, GREY: 1.0, PATCH: given.size // 6}
    with tempfile.TemporaryDirectory() as name:
        pipeline = Pipeline(images, Path(name))
        print(f"{given.network}, {given.images} images of {given.size} px, one thread; times as long as ours")
        whole: dict[bool, list[float]] = {False: [], True: []}
        for round_number in range(given.rounds + 1):
            for predicting in (False, True):
                theirs = mine = 0.0
                for operation, level in levels.items():
                    mine += seconds(partial(ours, images, operation, level, subject if predicting else None))
                    theirs += seconds(partial(pipeline.run, operation, level, model if predicting else None))
                if round_number:  # the first one warms up
                    whole[predicting].append(theirs / mine)
    for predicting, ratios in whole.items():
        what = "perturb and predict" if predicting else "perturb"
        print(f"{what:20} {statistics.median(ratios):6.1f}   [{min(ratios):.1f}, {max(ratios):.1f}]")


if __name__ == "__main__":
    main()

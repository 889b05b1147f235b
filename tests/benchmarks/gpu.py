"""The first card that can be had: is it right, how fast is it, does the memory come out as predicted?

    python -m tests.benchmarks.gpu --out figures.json            under 6 minutes on one large card
    python -m tests.benchmarks.gpu --tiny                        the same on small tensors, to see that it runs

Each part stands by itself: one that fails is told with its last line, and the next begins. A part that would begin
after ``--minutes`` is left out and told. Rates are of the quickest of some rounds after one that warms up. The exit
code is 1 where a part failed or the card's values left the CPU's by more than is allowed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from src.imageops.transformations import transformation_set
from src.methods.invariance.passes import Examination, Setup
from src.methods.invariance.variance import variances
from src.methods.modularity.evaluation import Judge, OneByOne
from src.methods.modularity.folded import Folded
from src.methods.robustness.corruptions import NAMES, corrupt
from src.methods.widths.variants import variants
from src.networks.cost import cost
from src.networks.memory import Training as TrainingMemory
from src.networks.memory import calibrate, measure, trace
from src.networks.memory.planning import saved_bytes
from src.networks.models import build
from src.networks.slicing import plan_for
from src.training.determinism import prepare
from src.training.fitting import VariantTraining, fit
from src.training.learners.width_variant import WidthVariant
from tests.benchmarks.invariance import STEPS
from tests.benchmarks.overhead import OPTIM, Noise
from tests.benchmarks.search import candidates

SHAPE = (3, 32, 32)
Figures = dict[str, Any]


def matrix_rate(device: torch.device, tiny: bool) -> Figures:
    """Multiply-adds per second of large matrix products: what other rates are shares of."""
    side = 256 if tiny else 8192
    figures: Figures = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        seconds = quickest(lambda left=left, right=right: left @ right, device, rounds=5)
        figures[f"{name}_tmacs_per_s"] = side**3 / seconds / 1e12
    return figures


def equality(device: torch.device, tiny: bool) -> Figures:
    """Largest differences from the CPU, each with what is allowed; see ``LIMITS``."""
    images, labels = batch_of(8 if tiny else 64)
    model = build(architecture("simcnn", 1 / 16 if tiny else 0.25)).eval()
    plan = plan_for(model, SHAPE)
    keep = candidates(plan, 4, 0.6, "population", 0)
    twin = build(architecture("simcnn", 1 / 16 if tiny else 0.25)).eval()
    twin.load_state_dict(model.state_dict())
    twin.to(device)
    with torch.inference_mode():
        figures = {
            "logits": apart(model(images), twin(images.to(device))),
            "candidates": apart(OneByOne(model, plan, images).judged(keep, [[3]] * 4),
                                Folded(twin, plan, images.to(device)).judged(keep, [[3]] * 4)),
        }  # fmt: skip
    figures["trained_weights"] = apart(trained(model, images, labels), trained(twin, images, labels))
    raw = (images * 60 + 128).clamp(0, 255).byte()
    levels = [
        float((corrupt(raw, name, 3).int() - corrupt(raw.to(device), name, 3).cpu().int()).abs().float().mean())
        for name in NAMES
    ]
    figures["corruptions_mean_levels"] = max(levels)
    network = nn.Sequential(*(getattr(nn, kind)(*rest) for kind, *rest in STEPS)).eval()
    ratios = []
    for place in (torch.device("cpu"), device):
        setup = Setup(dtype=torch.float64)
        layers = variances(Examination(network.to(place), images.to(place), turns(), setup=setup)).layers
        ratios.append(torch.cat([layer.ratio.values.flatten().cpu() for layer in layers]).nan_to_num())
    figures["invariance_ratios"] = float((ratios[0] - ratios[1]).abs().max())
    for name, limit in LIMITS.items():
        if not figures[name] <= limit:
            raise AssertionError(f"{name}: the card is {figures[name]:.2g} away from the CPU, {limit} is allowed")
    return figures


#: as shares of the values' spread, but for corruptions (grey levels of 255, the mean over all pixels) and ratios
LIMITS = {"logits": 1e-4, "candidates": 1e-4, "trained_weights": 1e-2, "corruptions_mean_levels": 0.05,
          "invariance_ratios": 1e-8}  # fmt: skip


def search_rate(device: torch.device, tiny: bool) -> Figures:
    """Sub-networks judged per second, one by one and folded, and the share of the matrix rate that their own
    multiply-adds are (folded ones compute the whole network's)."""
    figures: Figures = {}
    rates = matrix_rate(device, tiny)
    for width in (1 / 16,) if tiny else (0.25, 1.0):
        model = build(architecture("simcnn", width)).eval().to(device)
        plan = plan_for(model, SHAPE)
        count, images = (4, 16) if tiny else (16, 10_000)
        seen = torch.randn(images, *SHAPE, device=device)
        asked = [[3]] * count
        judges: dict[str, Judge] = {
            "functional": OneByOne(model, plan, seen, batch=min(images, 2048), memory=1),
            "folded_fp32": Folded(model, plan, seen),
            "folded_bf16": Folded(model, plan, seen, dtype=torch.bfloat16),
        }
        for name, judge in judges.items():
            populations = [candidates(plan, count, 0.6, "population", number) for number in range(4)]
            seconds = quickest(
                lambda judge=judge, left=populations, asked=asked: judge.judged(left.pop(), asked), device
            )
            own = 0.36 * cost(model, SHAPE).macs * images * count / seconds  # 0.6 squared
            rate = rates["bf16_tmacs_per_s" if name.endswith("bf16") else "fp32_tmacs_per_s"]
            figures[f"width_{width}_{name}"] = {"candidates_per_s": count / seconds, "share": own / (1e12 * rate)}
    return figures


def epoch_of_variants(device: torch.device, tiny: bool) -> Figures:
    """Seconds of an epoch of 50,000 images of 32 pixels in batches of 128, for VGG and the heaviest variant."""
    figures: Figures = {}
    count = 64 if tiny else 50_000
    data = Noise(count, 16 if tiny else 128, augment=True, side=32)
    data.setup()
    for name, widths in {"vgg": None, "heaviest": ranked()[-1]}.items():
        for precision in ("32-true", "bf16-mixed"):
            options = {"width": 1 / 16} if tiny else {} if widths is None else {"widths": list(widths)}
            learner = WidthVariant({"name": "vgg", **base(), **options}, OPTIM, data.batch_size)
            with tempfile.TemporaryDirectory() as folder:
                begin = time.perf_counter()
                fit(learner, data, VariantTraining(1, precision), Path(folder), seed=0, device=device)
                synchronise(device)
            seconds = time.perf_counter() - begin
            figures[f"{name}_{precision}"] = {"seconds": seconds, "images_per_s": count / seconds}
    return figures


def corruption_rate(device: torch.device, tiny: bool) -> Figures:
    """Images per second of every corruption, at the third severity."""
    figures: Figures = {}
    for side, count in ((32, 8),) if tiny else ((32, 2000), (224, 64)):
        images = torch.randint(0, 256, (count, 3, side, side)).to(torch.uint8).to(device)
        for name in NAMES:
            seconds = quickest(lambda name=name, images=images: corrupt(images, name, 3), device, rounds=2)
            figures[f"{name}_{side}px"] = count / seconds
    return figures


def invariance_rate(device: torch.device, tiny: bool) -> Figures:
    """Images times rotations per second, and how many times the bare forward pass it takes."""
    images = torch.rand(16 if tiny else 2048, *SHAPE, device=device)
    model = nn.Sequential(*(getattr(nn, kind)(*rest) for kind, *rest in STEPS)).eval().to(device)
    rotations, setup = turns(), Setup(batch=64 if tiny else 4096)
    moved = torch.cat([rotations(part).flatten(0, 1) for part in images.split(64)])

    def bare() -> None:
        with torch.inference_mode():
            for part in moved.split(setup.batch):
                model(part)

    ours = quickest(lambda: variances(Examination(model, images, rotations, setup=setup)), device)
    return {"per_s": len(moved) / ours, "times_the_forward_pass": ours / quickest(bare, device)}


def memory(device: torch.device, tiny: bool) -> Figures:
    """Predicted and reserved bytes of a training step, in a process of its own each."""
    constant = calibrate(str(device))["constant"]
    figures: Figures = {}
    for name, widths in {"lightest": ranked()[0], "heaviest": ranked()[-1]}.items():
        for precision in ("32-true", "bf16-mixed"):
            small = {"widths": [max(2, width // 16) for width in widths]} if tiny else {"widths": list(widths)}
            training = TrainingMemory({"name": "vgg", **base(), **small}, 8 if tiny else 128, precision)
            reserved, predicted = measure(training, str(device)), trace(training, str(device)).peak + constant
            figures[f"{name}_{precision}"] = {"reserved": reserved, "predicted_over_reserved": predicted / reserved}
    return figures


PARTS: dict[str, Callable[[torch.device, bool], Figures]] = {
    part.__name__: part
    for part in (matrix_rate, equality, search_rate, invariance_rate, memory, corruption_rate, epoch_of_variants)
}


def base() -> dict[str, Any]:
    return {"classes": 10, "input_shape": list(SHAPE)}


def architecture(name: str, width: float) -> dict[str, Any]:
    return {"name": name, "width": width, **base()}


def ranked() -> list[tuple[int, ...]]:
    """Widths of all variants, those first that keep the fewest bytes for the backward pass."""
    return sorted((tuple(one.widths) for one in variants()), key=lambda one: saved_bytes(one, 1, SHAPE, 10))


def turns() -> Any:
    return transformation_set({"family": "rotation", "degrees": 360, "count": 16, "corners": "reflect", "fill": 0.0})


def batch_of(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, *SHAPE, generator=generator), torch.arange(count) % 10


def trained(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """All weights after ten steps without dropout, flat and on the CPU; the model is left as it was."""
    place = next(model.parameters()).device
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for _ in range(10):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images.to(place)), labels.to(place)).backward()
        optimizer.step()
    flat = torch.cat([weights.detach().flatten().cpu() for weights in model.parameters()])
    model.load_state_dict(before)
    return flat


def apart(ours: Tensor, card: Tensor) -> float:
    """The largest difference as a share of the values' spread."""
    return float((ours - card.cpu()).abs().max() / ours.std())


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def quickest(work: Callable[[], Any], device: torch.device, rounds: int = 3) -> float:
    """Seconds of the quickest of the rounds after one that warms up."""
    seconds = []
    for _ in range(rounds + 1):
        synchronise(device)
        begin = time.perf_counter()
        work()
        synchronise(device)
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--out", type=Path, help="a JSON file for all figures")
    parser.add_argument("--minutes", type=float, default=5.5, help="no part begins later")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error(f"--device={device}: torch sees no GPU here; give --device=cpu to try the script")
    prepare(threads=torch.get_num_threads(), seed=0)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    figures: Figures = {"device": name, "torch": torch.__version__}
    print(f"{name}, torch {torch.__version__}", flush=True)
    begin, failed = time.perf_counter(), False
    for part in options.only:
        if time.perf_counter() - begin > 60 * options.minutes:
            figures[part] = f"left out: {options.minutes} minutes are over"
        else:
            start = time.perf_counter()
            try:
                figures[part] = PARTS[part](device, options.tiny)
            except Exception as error:  # the next part still has something to say
                failed = True
                traceback.print_exc()
                figures[part] = f"failed: {type(error).__name__}: {error}"
            print(f"{part}, {time.perf_counter() - start:.0f} s: {json.dumps(figures[part])}", flush=True)
        if options.out:
            options.out.write_text(json.dumps(figures, indent=1))
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())

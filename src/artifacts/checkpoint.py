"""A network from a file that anyone saved, as its description says it is."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from src.artifacts.description import Description, described
from src.artifacts.options import CheckpointOptions
from src.core.code import own_code
from src.core.errors import UserError
from src.core.options import options_of
from src.core.paths import DESCRIPTION
from src.data.class_names import PUBLISHED, listed
from src.data.datamodule import ImageData
from src.data.opening import data_of
from src.methods.hierarchy import composed_subject  # noqa: F401  (how to rebuild it, as of the two below)
from src.methods.modularity import patched  # noqa: F401
from src.networks import restricted  # noqa: F401
from src.networks.saved_weights import Misfit, MisfitError, load_saved, read_weights
from src.networks.subjects import ZOOS, Subject, rebuild, without_weights
from src.training.determinism import prepare

Images = Callable[[], ImageData]
#: Mean and std per channel, of images in 0..1.
Statistics = tuple[tuple[float, ...], tuple[float, ...]]


def check_checkpoint(values: Mapping[str, Any]) -> None:
    """Refuse a job whose network does not come out of its file.

    Args:
        values: the job's configuration as plain containers.

    Raises:
        UserError: the file is damaged, or the weights, the number of classes or the normalisation do not fit.
    """
    prepare(threads=values["threads"], seed=values["seed"])  # as the job, which finds its images opened
    asked = options_of(CheckpointOptions, values["subject"], "subject")

    @cache
    def images() -> ImageData:
        data = data_of(values["data"], "data")
        data.setup()
        return data

    network_of(asked, described(asked, Path(values["outputs"])), images)


def network_of(asked: CheckpointOptions, description: Description, images: Images) -> tuple[Subject, list[str]]:
    """The network with the file's weights, and one line for everything that was assumed or passed over.

    Args:
        images: opens the images that it is measured on; called where the description leaves something to them.

    Raises:
        UserError: as :func:`check_checkpoint`.
    """
    weights, events = read_weights(Path(asked.path).expanduser())
    classes = description.classes
    if classes is None:
        classes = images().classes
        events.append(f"subject.classes=null: its outputs are taken for the images' {len(classes)} classes, in order")
    classes = listed(classes) if isinstance(classes, str) else tuple(map(str, classes))
    architecture = dict(description.architecture or {})
    if architecture.setdefault("classes", len(classes)) != len(classes):
        raise UserError(
            f"{_beside(asked)}: architecture.classes={architecture['classes']}, and there are {len(classes)} names of "
            "classes; give one for each output by subject.classes=[...]"
        )
    if "input_shape" not in architecture:
        architecture["input_shape"] = list(images().input_shape)
    bare = without_weights(architecture)
    if others := [f"{name}={value}" for name, value in architecture.items() if name not in bare and value]:
        events.append(f"the weights are the file's; not looked at: {', '.join(others)}")
    architecture = bare  # so that no study builds it with other weights either
    model = _built(asked, architecture, description.kept)
    try:
        events += load_saved(model, weights)
    except MisfitError as error:
        raise UserError(_refusal(asked, architecture, error.misfit)) from None
    except UserError as error:
        raise UserError(f"subject.path={asked.path}: {error}") from None
    (mean, std), contrast = _normalisation(asked, description, architecture["input_shape"][0], images, events)
    notes = dict(description.notes or {})
    if description.code is not None and description.code != own_code(architecture):
        events.append("the code that builds this network is not the one that its weights were saved with")
        notes["code_changed"] = True
    more = description.kept, description.lineage, notes, contrast, description.interpolation
    subject = Subject(model.eval(), architecture, classes, mean, std, *more)
    return subject, [event if event.startswith("subject.") else f"subject.path: {event}" for event in events]


def _beside(asked: CheckpointOptions) -> Path:
    return Path(asked.path).with_name(DESCRIPTION)


def _built(asked: CheckpointOptions, architecture: Mapping[str, Any], kept: list[list[int]] | None) -> nn.Module:
    origin = "subject." if asked.model else f"{_beside(asked)}: "
    try:
        return rebuild(architecture, kept)
    except UserError as error:
        raise UserError(f"{origin}{error}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        reason = f"{type(error).__name__} {' '.join(str(error).split())[:120]}"
        raise UserError(f"{origin}model: describes no network ({reason}); mend it") from None


def _normalisation(
    asked: CheckpointOptions, description: Description, channels: int, images: Images, events: list[str]
) -> tuple[Statistics, str]:
    """Mean and std, and contrast: the configuration's, the description's or the images'."""
    wanted: Any = asked.normalisation
    where, contrast = f"subject.normalisation={wanted}", description.contrast
    if wanted is None and description.mean is not None:
        wanted, where = {"mean": description.mean, "std": description.std}, f"{_beside(asked)}: mean, std"
    elif wanted is None:
        data = images()
        wanted, contrast = data.normalisation, data.contrast
        where = f"subject.normalisation=null: data.normalisation={wanted}"
        events.append(f"{where} is taken for what it was trained with")
        if data.mean:
            wanted = {"mean": data.mean, "std": data.std}
        elif isinstance(wanted, str) and wanted not in PUBLISHED:
            raise UserError(f"{where} needs images to train on, and there are none; set it to imagenet, say")
    given = PUBLISHED[wanted] if isinstance(wanted, str) else (wanted["mean"], wanted["std"])
    mean, std = (tuple(map(float, value if isinstance(value, list | tuple) else [value])) for value in given)
    if {len(mean), len(std)} - {1, channels}:
        raise UserError(f"{where}: is of {max(len(mean), len(std))} channels, the network's images have {channels}")
    return (mean * (channels // len(mean)), std * (channels // len(std))), contrast


def _refusal(asked: CheckpointOptions, architecture: Mapping[str, Any], misfit: Misfit) -> str:
    """What does not fit, and what to do."""
    name, classes, shape = architecture["name"], architecture["classes"], tuple(architecture["input_shape"])
    given, reshaped = f"subject.path={asked.path}", misfit.reshaped
    alone = bool(reshaped) and not misfit.missing and not misfit.unexpected
    pairs = [(theirs, needed) for _, theirs, needed in reshaped if theirs and needed]
    outputs = {(theirs[0], needed[0]) for theirs, needed in pairs if theirs[1:] == needed[1:] and needed[0] == classes}
    if alone and len(outputs) == 1 and all(theirs[1:] == needed[1:] for theirs, needed in pairs):
        return (
            f"{given}: the network in it has {outputs.pop()[0]} outputs, and there are {classes} classes; name its own "
            "in their order by subject.classes=[...] (or imagenet), and measure it on images of some of them (data=...)"
        )
    channels = [(theirs[1], needed[1]) for theirs, needed in pairs if len(theirs) == len(needed) == 4
                and (theirs[0], *theirs[2:]) == (needed[0], *needed[2:])]  # fmt: skip
    if alone and len(pairs) == len(channels) == 1 and channels[0][1] == shape[0]:
        return (
            f"{given}: the network in it takes images of {channels[0][0]} channels, and these have {shape[0]}; choose "
            "others by data=..."
        )
    return (
        f"{given}: not the weights of {name} for {classes} classes and images of {shape}: {misfit}; choose the network "
        f"that was saved, and its options, by model@subject.model=...{_stem(asked, name, misfit)}"
    )


def _stem(asked: CheckpointOptions, name: str, misfit: Misfit) -> str:
    """The option that a residual network's first convolution tells."""
    side = next((theirs[-1] for layer, theirs, _ in misfit.reshaped if layer == "conv1.weight" and theirs), 0)
    if side not in (3, 7) or not name.startswith(ZOOS):
        return ""
    key = f"{'' if 'small_images' in asked.model else '+'}subject.model" if asked.model else "its architecture"
    return f" (of the stem: {key}.small_images={str(side == 3).lower()})"

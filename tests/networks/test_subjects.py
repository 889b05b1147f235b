"""A subject, whatever it was made from, answers after a reload as before, and says in one line what cannot be read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from src.core.errors import UserError
from src.data.augment import normalise
from src.imageops.whitening import Whitening
from src.methods.hierarchy.composed import ComposedNetwork
from src.methods.hierarchy.composed_subject import composed_subject
from src.methods.hierarchy.composition import Composition, compose
from src.methods.hierarchy.tree import flat, from_plain
from src.methods.hierarchy.views import Views
from src.methods.modularity.patched import Patch, PatchedNetwork, patched_subject
from src.methods.modularity.patching import Range
from src.networks.slicing import extract, plan_for
from src.networks.subjects import Subject, keep_of, kept_of, load_subject, save_description, save_subject
from src.statistics.calibration import Platt
from tests.fakes.networks import SHAPE, images, subject


def module_of(whole: Subject, seed: int) -> Subject:
    """About half of the kernels of ``whole`` as a subject of its own."""
    plan = plan_for(whole.model, SHAPE)
    keep = torch.rand(plan.kernels, generator=torch.Generator().manual_seed(seed)) < 0.5
    for part in plan.slices():
        keep[part.start] = True
    assert not keep.all()
    slim = extract(whole.model, plan, keep).eval()
    return Subject(slim, whole.architecture, whole.classes, whole.mean, whole.std, kept_of(keep, plan.offsets),
                   ("module", *whole.lineage), {"class": 1})  # fmt: skip


def patched() -> Subject:
    """A weak network of 3 classes, two of them answered by modules of another network of 4 with another input."""
    weak, strong = subject(0, batch_norm=True), subject(1, classes=4, std=0.1)
    modules = [module_of(strong, 2), module_of(strong, 3)]
    patches = [
        Patch.of(2, 0, modules[0].model, Platt(1.5, -0.25), "margin"),
        Patch.of(0, 3, modules[1].model, Range(-1.0, 2.0), "logit"),
    ]
    return patched_subject(weak, modules, patches, temperature=1.75)


TREE = from_plain({"left": ["a", "b", "c"], "right": ["d", "e"], "f": None}, list("abcdef"))


def parts(**options: Any) -> list[Subject]:
    """A module for each node of the tree."""
    return [
        replace(subject(seed, classes=len(node.children), **options), classes=node.children)
        for seed, node in enumerate(TREE.nodes)
    ]


def composed_of_modules() -> Subject:
    """Cut to half of their kernels, hard gating with temperatures."""
    modules = [replace(module_of(part, seed), classes=part.classes) for seed, part in enumerate(parts())]
    return composed_subject(modules, TREE, Composition("hard", temperatures=(1.0, 0.5, 2.0)))


def composed_of_crops() -> Subject:
    """Of whitened images; modules that share a trunk and answer for more than their children."""
    whitening = Whitening.fit(images(20, seed=3), "zca")
    wide = [subject(seed, classes=4, batch_norm=True) for seed in range(3)]
    return composed_subject(
        wide, TREE, Composition("additive", weights=(0.25, 0.75), route="crop"), preparation=whitening,
        share_trunk=True, columns=[[2, 0, 1], [3, 2, 1], [0, 1]], views=Views(12, "ten", "up_down"),
    )  # fmt: skip


MAKERS = {
    "trained": lambda: subject(0),
    "trained with batch norm": lambda: subject(0, batch_norm=True),
    "module": lambda: module_of(subject(0), 1),
    "module with batch norm": lambda: module_of(subject(0, batch_norm=True), 1),
    "patched": patched,
    "composed": lambda: composed_subject(parts(), TREE, Composition("soft")),
    "composed of modules": composed_of_modules,
    "composed of crops": composed_of_crops,
}


def answers(of: Subject) -> torch.Tensor:
    with torch.no_grad():
        return of.model(of.normalise(images()))


@pytest.mark.parametrize("kind", MAKERS)
def test_it_answers_as_before_to_the_bit(kind: str, tmp_path: Path):
    before = MAKERS[kind]()
    expected = answers(before)
    torch.manual_seed(123)
    after = load_subject(save_subject(before, tmp_path / "new" / "folder"))
    assert torch.equal(answers(after), expected) and expected.exp().std() > 0
    assert not after.model.training
    for name in ("architecture", "classes", "mean", "std", "kept", "lineage", "notes", "contrast", "input_shape"):
        assert getattr(after, name) == getattr(before, name), name
    again = load_subject(save_subject(after, tmp_path / "again"), lineage=["other"])
    assert torch.equal(answers(again), expected) and again.lineage == ("other",)


def test_several_weight_files_share_a_description(tmp_path: Path):
    first, second = subject(0), subject(1)
    save_subject(first, tmp_path, "best")
    save_subject(second, tmp_path, "last")
    assert torch.equal(answers(load_subject(tmp_path / "best.safetensors")), answers(first))
    assert torch.equal(answers(load_subject(tmp_path / "last.safetensors")), answers(second))


def test_images_are_normalised_as_the_model_wants_them():
    one = subject(0)
    found = one.normalise(images())
    expected = (images().double() / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1).double()) / torch.tensor(
        [0.25, 0.3, 0.25]
    ).view(3, 1, 1).double()
    assert torch.allclose(found.double(), expected, atol=1e-6)
    assert found.dtype == torch.float32 and found.is_contiguous(memory_format=torch.channels_last)


def test_values_between_grey_levels_are_normalised_as_images_are():
    one = subject(0)
    assert torch.equal(one.normalise_values(images().float() / 255), one.normalise(images()))
    between = one.normalise_values(torch.full((1, 3, 12, 12), 0.35, dtype=torch.float64))
    assert between.dtype == torch.float64
    assert between[0, :, 0, 0].tolist() == pytest.approx(
        [(0.35 - m) / s for m, s in zip(one.mean, one.std, strict=True)]
    )


@pytest.mark.parametrize("contrast", ["global", "per_pixel"])
def test_values_cannot_be_normalised_one_by_one(contrast: str):
    with pytest.raises(UserError, match=rf"data\.contrast={contrast}: .* train it with data\.contrast=none"):
        replace(subject(0), contrast=contrast).normalise_values(torch.zeros(1, 3, 12, 12))


@pytest.mark.parametrize("shape", [(2, 1, 12, 12), (2, 3, 16, 16), (2, 3, 12)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(UserError) as error:
        subject(0).normalise(torch.zeros(shape, dtype=torch.uint8))
    assert str(error.value) == (
        f"images of shape {shape[1:]} do not fit a model for (3, 12, 12); "
        "choose a data set of that size or train the model on this one"
    )


def test_a_patched_subject_is_one_network_with_one_lineage():
    whole = patched()
    assert isinstance(whole.model, PatchedNetwork)
    assert whole.classes == ("class 0", "class 1", "class 2") and whole.input_shape == SHAPE
    assert whole.lineage == ("digest0", "module", "digest1")
    assert json.loads(json.dumps(whole.architecture)) == whole.architecture, "plain values"


def test_a_patched_subject_hands_each_network_its_own_normalisation():
    weak, strong = subject(0), subject(1, std=0.1)
    parts = patched_subject(weak, [strong], [Patch(0, 0, strong.model, 1.0, 0.0, True, "logit")], 1.0)
    model = parts.model
    assert isinstance(model, PatchedNetwork)
    moved = weak.normalise(images()) * model.scale + model.shift
    assert torch.allclose(moved, strong.normalise(images()), atol=1e-4)


def test_a_composed_subject_is_its_modules_composed():
    own = parts()
    whole = composed_subject(own, TREE, Composition("soft"))
    heard = [part.model(part.normalise(images())) for part in own]
    assert torch.allclose(answers(whole), compose(TREE, heard, Composition("soft")), atol=1e-6)
    assert whole.classes == TREE.classes and whole.input_shape == SHAPE and whole.mean == own[0].mean
    assert whole.lineage == ("digest0", "digest1", "digest2")
    assert json.loads(json.dumps(whole.architecture)) == whole.architecture, "plain values"
    assert composed_subject(
        [own[0], own[1], own[1]], TREE, Composition(), columns=[[0, 1, 2], [0, 1, 2], [0, 1]]
    ).lineage == (
        "digest0",
        "digest1",
    )


def test_a_shared_trunk_is_the_first_modules():
    own = parts()
    network = composed_subject(own, TREE, Composition("soft"), share_trunk=True).model
    assert isinstance(network, ComposedNetwork) and network.trunk is not None
    ready = own[0].normalise(images())
    heard = network.answers(ready)
    assert torch.allclose(heard[0], own[0].model(ready), atol=1e-6)
    assert not torch.allclose(heard[1], own[1].model(ready), atol=1e-3)
    first = sum(parameter.numel() for parameter in own[0].model.parameters())
    heads = [sum(parameter.numel() for parameter in part.parameters()) for part in network.parts]
    assert sum(parameter.numel() for parameter in network.parameters()) == first + heads[1] + heads[2]


def test_a_composed_subject_sees_crops_of_larger_images(tmp_path: Path):
    whole = composed_subject(parts(), TREE, Composition("hard"), views=Views(12, "five"), input_shape=(3, 14, 14))
    larger = torch.randint(0, 256, (4, 3, 14, 14), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    again = load_subject(save_subject(whole, tmp_path))
    with torch.no_grad():
        found = again.model(again.normalise(larger))
        assert torch.equal(found, whole.model(whole.normalise(larger))) and found.shape == (4, 6)
    with pytest.raises(UserError, match="do not fit a model for"):
        whole.normalise(images())


def test_a_monolith_can_be_seen_through_crops():
    one = subject(0)
    whole = composed_subject([one], flat(one.classes), Composition("soft"), views=Views(12, "ten"))
    ready = one.normalise(images())
    mean = (one.model(ready).softmax(1) + one.model(ready.flip(3)).softmax(1)) / 2
    assert torch.allclose(answers(whole).exp().float(), mean, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": (0.1, 0.4, 0.3)}, "modules: mean (0.5, 0.4, 0.3) of one and (0.1, 0.4, 0.3) of another"),
        ({"contrast": "global"}, "modules: contrast none of one and global of another"),
        ({"classes": ("e", "d")}, "modules: that of node 'right' tells e, d apart, the tree has d, e there"),
    ],
)
def test_modules_that_do_not_fit_together(change: dict[str, Any], words: str):
    own = parts()
    own[2] = replace(own[2], **change)
    with pytest.raises(UserError) as error:
        composed_subject(own, TREE, Composition())
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


def test_crops_of_another_size_than_the_modules():
    with pytest.raises(UserError, match=r"views.size=10: the modules take images of 12 pixels; take that size"):
        composed_subject(parts(), TREE, Composition(), views=Views(10))


def test_contrast_is_kept_and_applied_before_the_channels(tmp_path: Path):
    one = replace(subject(0), contrast="global")
    values = images().double() / 255
    values = (values - values.mean((1, 2, 3), keepdim=True)) / values.std((1, 2, 3), correction=0, keepdim=True)
    expected = (values - torch.tensor(one.mean).view(3, 1, 1)) / torch.tensor(one.std).view(3, 1, 1)
    assert torch.allclose(one.normalise(images()).double(), expected, atol=1e-5)
    again = load_subject(save_subject(one, tmp_path))
    assert torch.equal(again.normalise(images()), one.normalise(images()))


def test_data_and_subject_bring_images_to_the_same_contrast():
    for contrast in ("none", "global"):
        one = replace(subject(0), contrast=contrast)
        expected = normalise(images(), one.mean, one.std, contrast=contrast)
        assert torch.allclose(one.normalise(images()), expected, atol=1e-5)


def test_a_description_from_before_there_was_a_contrast_loads(tmp_path: Path):
    path = save_subject(subject(0), tmp_path)
    plain = json.loads((tmp_path / "subject.json").read_text())
    assert plain.pop("contrast") == "none"
    (tmp_path / "subject.json").write_text(json.dumps(plain))
    assert load_subject(path).contrast == "none"


def test_networks_of_different_contrast_cannot_be_patched():
    weak, strong = subject(0), replace(subject(1), contrast="global")
    patch = Patch(0, 0, strong.model, 1.0, 0.0, True, "logit")
    with pytest.raises(UserError, match=r"data\.contrast=none of the weak network, global of a module") as error:
        patched_subject(weak, [strong], [patch], 1.0)
    assert "\n" not in str(error.value)
    both = patched_subject(replace(weak, contrast="global"), [strong], [patch], 1.0)
    assert both.contrast == "global"
    assert isinstance(both.model, PatchedNetwork)
    moved = both.normalise(images()) * both.model.scale + both.model.shift
    assert torch.allclose(moved, strong.normalise(images()), atol=1e-4)


def test_kept_kernels_and_masks_are_the_same():
    keep = torch.tensor([True, False, True, False, False, True])
    assert kept_of(keep, [0, 3, 5, 6]) == [[0, 2], [], [0]]
    assert torch.equal(keep_of([[0, 2], [], [0]], [0, 3, 5, 6]), keep)


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        load_subject(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_missing_files(tmp_path: Path):
    path = tmp_path / "weights.safetensors"
    ending = "is missing; a subject is a .safetensors file with subject.json beside it"
    assert refusal(path) == f"{path} {ending}"
    save_subject(subject(0), tmp_path).with_name("subject.json").unlink()
    assert refusal(path) == f"{tmp_path / 'subject.json'} {ending}"


def test_damaged_weights(tmp_path: Path):
    path = save_subject(subject(0), tmp_path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-1]):
        path.write_bytes(damaged)
        assert refusal(path).startswith(f"{path} cannot be read (") and refusal(path).endswith(
            "; train or save it anew"
        )


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"architecture": {}}', '{"architecture": null, "kept": null}'])
def test_damaged_description(text: str, tmp_path: Path):
    path = save_subject(subject(0), tmp_path)
    (tmp_path / "subject.json").write_text(text)
    assert "read" in refusal(path) or "missing" in refusal(path)


def test_a_description_that_lacks_a_part(tmp_path: Path):
    path = save_subject(subject(0), tmp_path)
    whole = json.loads((tmp_path / "subject.json").read_text())
    for key in whole.keys() - {"contrast", "interpolation", "code"}:  # parts that older descriptions lack
        (tmp_path / "subject.json").write_text(json.dumps({k: v for k, v in whole.items() if k != key}))
        assert key in refusal(path)


def test_weights_of_another_architecture(tmp_path: Path):
    path = save_subject(subject(0), tmp_path)
    save_description(subject(0, classes=5), tmp_path)
    assert "size mismatch" in refusal(path)
    save_description(subject(0, batch_norm=True), tmp_path)
    assert refusal(path).startswith(f"{path} cannot be read (")


def test_kernels_that_the_architecture_does_not_have(tmp_path: Path):
    one = module_of(subject(0), 1)
    path = save_subject(one, tmp_path)
    one.kept = [[0, 99], [0]]
    save_description(one, tmp_path)
    assert refusal(path).startswith(f"{path} cannot be read (")
    one.kept = [[0], [0]]
    save_description(one, tmp_path)
    assert "size mismatch" in refusal(path)


def test_an_unknown_network_is_named(tmp_path: Path):
    one = subject(0)
    path = save_subject(one, tmp_path)
    one.architecture = {**one.architecture, "name": "simcn"}
    save_description(one, tmp_path)
    assert refusal(path).startswith("model.name=simcn: did you mean 'simcnn'?")

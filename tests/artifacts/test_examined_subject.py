"""Where subjects come from, and that their classes are those of the images."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from src.artifacts import examined_subject as module
from src.artifacts.examined_subject import SUBJECT_MAKERS, class_numbers, module_ensemble, subject_of
from src.artifacts.options import ImagesOptions
from src.artifacts.pretrained import imagenet_classes, pretrained, wordnet_numbers
from src.core.errors import UserError
from src.core.paths import CONF
from src.data.image_set import ImageSet
from src.methods.modularity.patching import module_score
from src.networks.subjects import load_subject, save_subject
from src.statistics.calibration import fit_platt
from tests.fakes.artifacts import artifacts
from tests.fakes.networks import images, subject
from tests.fakes.study import FakeSession


class FakeData:
    """Three classes of images, in another order than the subject's."""

    classes, input_shape, events = ("class 2", "class 0"), (3, 12, 12), ()

    def __init__(self, **_):
        labels = torch.tensor([0, 1, 1])
        empty = ImageSet(images(0), labels[:0], self.classes)
        whole = ImageSet(images(3), labels, self.classes)
        self.sets = {"test": whole, "validation": whole.select(labels == 1), "calibration": empty}

    def setup(self):
        pass


def test_every_kind_has_its_file_of_the_configuration():
    assert set(SUBJECT_MAKERS) == {path.stem for path in (CONF / "subject").glob("*.yaml")}
    with pytest.raises(UserError, match=r"subject.kind=traned: did you mean 'trained'"):
        subject_of({"kind": "traned"}, None, artifacts())


def test_a_file_is_measured_on_images_whose_classes_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "data_of", lambda options, where: FakeData())
    path, session = save_subject(subject(), tmp_path), FakeSession()
    file = {"kind": "checkpoint", "path": str(path), "model": None, "classes": None, "normalisation": None,
            "training": "plain", "answers": "all"}  # fmt: skip
    asked = file, ImagesOptions({}), artifacts(session)
    found = subject_of(*asked)
    assert found.test.labels.tolist() == [2, 0, 0] and found.test.classes == found.subject.classes
    assert found.calibration.labels.tolist() == [0, 0], "the validation images, where none are set apart"
    assert session.events == ["data: images of 2 of the network's 3 classes; it may answer with any"]
    assert found.digests == ("digest0",) and not found.problem
    few = subject_of({**file, "answers": "data"}, *asked[1:])
    assert few.test.classes == few.subject.classes == ("class 2", "class 0") and few.test.labels.tolist() == [0, 1, 1]
    shown = found.subject.normalise(found.test.images)
    assert torch.equal(few.subject.model(shown), found.subject.model(shown)[:, [2, 0]])
    assert session.events[1:] == ["subject.answers=data: it chooses among the images' 2 of its 3 classes"]
    with pytest.raises(UserError, match=r"subject.answers=some: allowed is all, data"):
        subject_of({**file, "answers": "some"}, *asked[1:])
    monkeypatch.setattr(FakeData, "input_shape", (3, 14, 14))
    with pytest.raises(UserError, match=r"takes images of shape \(3, 12, 12\).*set data.source.size=12"):
        subject_of(*asked)


def test_a_class_that_the_network_does_not_know_is_named():
    assert class_numbers(["b", "a"], ["a", "b", "c"]).tolist() == [1, 0]
    with pytest.raises(UserError, match="its class 'd' is none of the network's 3"):
        class_numbers(["a", "d"], ["a", "b", "c"])


def test_images_of_imagenet_are_found_by_name_and_by_wordnet_number():
    pytest.importorskip("timm")
    classes = imagenet_classes()
    assert len(classes) == 1000
    assert class_numbers(["tench", "parachute", "crane"], classes).tolist() == [0, 701, 517]
    numbers = wordnet_numbers()
    assert list(numbers) == sorted(numbers), "the order of the outputs is that of the numbers"
    assert class_numbers(["n03888257", "n01440764"], classes).tolist() == [701, 0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "resnet1", "weights": "DEFAULT"}, r"subject.model=resnet1: did you mean 'resnet18'"),
        ({"model": "resnet18", "weights": "V1"}, r"subject.weights=V1"),
        ({"model": "fcn_resnet50", "weights": "DEFAULT"}, "its weights are not ImageNet's"),
        ({"model": "resnet18", "weights": "DEFAULT"}, r"not on this machine; fetch https://.* to .*hub.*resnet18"),
        (
            {"kind": "timm", "model": "resnet18", "weights": "default"},
            "not on this machine; fetch them by: hf download",
        ),
        ({"kind": "timm", "model": "resnet18", "weights": "nowhere"}, r"subject.weights=nowhere"),
        ({"kind": "timm", "model": "resnt18", "weights": "default"}, r"did you mean 'resnet18'"),
    ],
)
def test_weights_that_are_not_here_are_not_fetched(options, said, tmp_path, monkeypatch):
    pytest.importorskip("timm")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("was fetched"))
    with pytest.raises(UserError, match=said) as refused:
        pretrained({"kind": "torchvision", **options}, (3, 224, 224))
    assert "\n" not in str(refused.value)


def test_grey_images_are_refused():
    with pytest.raises(UserError, match=r"data.source.channels=1: networks of ImageNet take 3"):
        pretrained({"kind": "torchvision", "model": "resnet18", "weights": "DEFAULT"}, (1, 64, 64))


def test_weights_that_are_here_are_loaded(tmp_path, monkeypatch):
    from torchvision.models import get_model, get_model_weights

    name = "shufflenet_v2_x0_5"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("was fetched"))
    own = get_model(name)
    file = tmp_path / "checkpoints" / get_model_weights(name).DEFAULT.url.rpartition("/")[2]
    file.parent.mkdir()
    torch.save(own.state_dict(), file)
    found = pretrained({"kind": "torchvision", "model": name, "weights": "DEFAULT"}, (3, 64, 64))
    assert found.mean == (0.485, 0.456, 0.406) and found.std == (0.229, 0.224, 0.225)
    assert found.classes[0] == "tench" and found.input_shape == (3, 64, 64)
    seen = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(found.model(seen), own.eval()(seen))


@pytest.mark.parametrize("kind", ["torchvision", "timm"])
def test_a_control_has_random_weights_by_the_seed(kind, monkeypatch):
    pytest.importorskip("timm")
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("was fetched"))

    def drawn(seed):
        torch.manual_seed(seed)
        torch.rand(seed + 1)
        found = pretrained({"kind": kind, "model": "resnet18", "weights": None}, (3, 32, 32))
        return found, found.model.state_dict()["layer1.0.conv1.weight"]

    (found, first), (_, again), (_, other) = drawn(0), drawn(0), drawn(1)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert found.mean == (0.485, 0.456, 0.406) and len(found.classes) == 1000
    assert found.model.state_dict()["conv1.weight"].shape[-1] == 7, "the stem that the trained one has"


def test_the_ensemble_answers_with_the_logarithms_of_its_modules_probabilities(tmp_path):
    parts = [subject(seed) for seed in (1, 2, 3)]
    held_out = ImageSet(images(30, seed=5), torch.arange(30) % 3, parts[0].classes)

    def outputs(found):
        with torch.no_grad():
            return torch.stack([part.model(part.normalise(found.images)) for part in parts])

    strong = SimpleNamespace(subject=subject(9), data=SimpleNamespace(sets={"calibration": held_out}))
    modules = SimpleNamespace(strong=strong, keep=torch.ones(3, 4), subject=parts.__getitem__, outputs=outputs)
    found = module_ensemble(modules, "margin")
    test = ImageSet(images(8, seed=6), torch.arange(8) % 3, parts[0].classes)
    known, answers = outputs(held_out), outputs(test)
    expected = torch.stack(
        [
            fit_platt(module_score(known[c], c, "margin"), held_out.labels == c)(module_score(answers[c], c, "margin"))
            for c in range(3)
        ],
        dim=1,
    )
    with torch.no_grad():
        own = found.model(found.normalise(test.images))
    assert torch.allclose(own.exp(), expected, atol=1e-6)
    loaded = load_subject(save_subject(found, tmp_path))
    with torch.no_grad():
        assert torch.equal(loaded.model(loaded.normalise(test.images)), own)

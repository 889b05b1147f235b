"""What jobs leave for others, as read from the store: images, a network, the modules cut from it, a patched one."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from src.core.store import Entry, Key, Store
from src.report import lineage

IMAGES = "ab" * 32
HISTORY = [
    {"epoch": 0, "val/accuracy": 0.5, "val/loss": 2.0},
    {"epoch": 1, "val/accuracy": 0.7, "val/loss": "nan"},
]
COURSE = [{"epoch": 1, "lr": 0.1, "epoch_seconds": 2.0, "memory_gb": 0.3}]
NOTES = {"best_epoch": 0, "seconds": 4.0, "course": COURSE, "images": {"classes": 10, "train": 240}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def network(store: Store) -> Entry:
    def build(folder: Path) -> dict[str, Any]:
        (folder / "history.json").write_text(json.dumps(HISTORY))
        (folder / "best.safetensors").write_bytes(b"w" * 100)
        return NOTES

    return store.make(Key("checkpoint", {"model": {"name": "simcnn"}, "images": IMAGES}), build)


@pytest.fixture
def modules(store: Store, network: Entry) -> Entry:
    def build(folder: Path) -> None:
        (folder / "search.json").write_text(json.dumps({"history": [{"generation": 0, "accuracy": 0.4}]}))

    return store.make(Key("modules", {"seed": 0}, parents=(network.digest,)), build)


def test_a_network_is_made_of_its_images_and_told_with_its_course(store: Store, network: Entry):
    made = lineage.entry(store.root, network.digest)
    assert made and made.product.name == f"network-{network.digest}"
    assert made.product.metadata["val/accuracy"] == 0.5 and made.product.metadata["best_epoch"] == 0
    assert made.product.metadata["bytes"] > 100 and made.product.metadata["recipe"]["model"] == {"name": "simcnn"}
    (images,) = made.used
    assert (images.type, images.name) == ("images", f"images-{IMAGES[:16]}")
    assert images.metadata == {"digest": IMAGES, "classes": 10, "train": 240} and images.folder is None
    first, second = made.rows
    assert first == {"step": 0.0, "val/accuracy": 0.5, "val/loss": 2.0}
    assert second["lr"] == 0.1 and math.isnan(second["val/loss"])


def test_modules_are_made_of_their_network(store: Store, network: Entry, modules: Entry):
    made = lineage.entry(store.root, modules.digest)
    assert made and [each.name for each in made.used] == [f"network-{network.digest}"]
    assert made.used[0].metadata["recipe"], "whoever sends it first sends all that is known of it"
    assert made.rows == [{"step": 0.0, "accuracy": 0.4}] and made.product.metadata["accuracy"] == 0.4


def test_a_job_used_what_its_result_names_and_the_images(store: Store, network: Entry, modules: Entry):
    used = [each.type for each in lineage.used_by(store.root, [network.digest, modules.digest, "gone"])]
    assert used == ["network", "images", "modules"]
    assert lineage.with_ancestors(store.root, [modules.digest]) == [network.digest, modules.digest]


def test_an_entry_that_is_damaged_or_gone_is_none(store: Store, network: Entry):
    assert lineage.entry(store.root, "0" * 16) is None
    (network.folder / "history.json").write_text("damaged")
    assert lineage.entry(store.root, network.digest) is None


def test_networks_in_the_jobs_own_folder_are_known_by_their_content(tmp_path: Path):
    folder = tmp_path / "patched"
    folder.mkdir()
    (folder / "subject.json").write_text("{}")
    (folder / "weights.safetensors").write_bytes(b"one")
    (one,) = lineage.left_by(tmp_path, "f" * 16)
    assert one.name == f"patched-{'f' * 16}" and set(one.metadata["files"]) == {"subject.json", "weights.safetensors"}
    (folder / "weights.safetensors").write_bytes(b"two")
    (other,) = lineage.left_by(tmp_path, "f" * 16)
    assert other.name == one.name and other.address != one.address

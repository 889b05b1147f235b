"""Mistakes and accidents: one clear line and a code that is not 0; what was interrupted goes on to the same numbers."""

import shutil
import signal

import pytest
from PIL import Image

from tests.end_to_end.conftest import TINY

JOB = ("experiment=patch_weak", *TINY)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["experiment=patch_week"], ["patch_week", "did you mean 'patch_weak'?"]),
        (["experiment=patch_weak", "seach.generations=3"], ["seach", "did you mean 'search.generations'?"]),
        (["experiment=patch_weak", "search.generation=3"], ["search.generation", "did you mean 'search.generations'?"]),
        (["experiment=patch_weak", "strong.data=cifar10"], ["strong.data=cifar10", "data@strong.data=cifar10"]),
        (["experiment=patch_weak", "model@strong.model=simcn"], ["simcn", "did you mean 'simcnn'?"]),
        (["experiment=patch_weak", "target_class=0,1"], ["target_class=0,1", "-m"]),
        (["experiment=patch_weak", "strong.training.epochs=many"], ["strong.training.epochs", "many"]),
        ([*JOB, "target_class=12"], ["target_class=12", "0 disc", "9 cross"]),
        ([*JOB, "target_class=99"], ["target_class=99", "9 cross"]),
        ([*JOB, "target_class=disk"], ["target_class=disk", "0 disc"]),
        ([*JOB, "search.alpha=3"], ["search.alpha=3", "0 to 1"]),
        ([*JOB, "strong.data.source.size=16", "weak.data.source.size=16"], ["simcnn", "32x32", "pools"]),
        ([*JOB, "data@strong.data=parquet", "strong.data.source.path=nowhere.parquet"], ["nowhere.parquet"]),
        ([*JOB, "data@strong.data=image_folder", "strong.data.source.root=nowhere"], ["nowhere"]),
    ],
    ids=lambda value: " ".join(value[-1:]) if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_one_line(argv, said, run, tmp_path):
    ran = run(tmp_path, *argv)
    assert ran.code in (1, 2)
    (line,) = [line for line in ran.text.splitlines() if line.startswith(("error:", "✗ failed:"))]
    for words in said:
        assert words in line
    assert "Traceback" not in ran.text
    assert all(result["status"] == "failed" for result in ran.results)
    assert not list(tmp_path.rglob("page.html"))


def test_a_damaged_file_is_named(run, tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 but no more")
    ran = run(tmp_path, *JOB, "data@strong.data=parquet", f"strong.data.source.path={tmp_path / 'broken.parquet'}")
    assert ran.code == 1 and "broken.parquet" in ran.result["error"] and "Traceback" not in ran.text


def test_a_network_that_did_not_train_gives_no_verdict(run, tmp_path):
    ran = run(tmp_path, *JOB, "shrink.set.minimum_accuracy=0.99")
    assert ran.code == 0
    assert ran.result["verdict_kind"] == "no verdict" and "did not train" in ran.result["verdict"]
    assert "patch" not in ran.result["tables"] and not ran.result["metrics"]


def test_a_killed_job_goes_on_to_the_same_numbers(run, tmp_path, tiny):
    for where in ("resume.ckpt", "search.safetensors"):
        ran = run(tmp_path, *JOB, strike=(signal.SIGKILL, f"{tmp_path}/store/**/{where}"))
        assert ran.code == -signal.SIGKILL and not ran.results
    again = run(tmp_path, *JOB)
    assert again.code == 0, again.text
    assert again.result["metrics"] == tiny.result["metrics"]


def test_a_damaged_entry_is_made_again(run, tmp_path, tiny):
    shutil.copytree(tiny.outputs, tmp_path, dirs_exist_ok=True)
    (weights,) = tmp_path.glob("store/modules/*/modules.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    again = run(tmp_path, *JOB)
    assert again.code == 0
    assert any("damaged" in event for event in again.result["events"])
    assert list(tmp_path.glob("store/quarantine/modules-*"))
    assert again.result["metrics"] == tiny.result["metrics"]


def test_images_of_a_single_class_train_nothing(run, tmp_path):
    folder = tmp_path / "photos" / "red"
    folder.mkdir(parents=True)
    for number in range(8):
        Image.new("RGB", (32, 32), (200, 10 * number, 0)).save(folder / f"{number}.png")
    argv = ("task=train", "data@recipe.data=image_folder", f"recipe.data.source.root={folder.parent}")
    ran = run(tmp_path, *argv, *TINY)
    assert ran.code == 1 and "recipe.data: all images are of the class 'red'; it takes at least two" in ran.text, (
        ran.text
    )

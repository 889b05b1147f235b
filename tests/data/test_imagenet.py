from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from src.core.errors import UserError
from src.data.imagenet import read_imagenet
from src.data.wordnet import paths_to, read_is_a, read_meta, read_wordnet
from src.data.wordnet_tree import wordnet_tree
from src.methods.hierarchy.tree import from_plain
from tests.fakes.imagenet import ANIMAL, CLASSES, IS_A, NAMES, write_imagenet, write_meta

DOG, CANINE, DOMESTIC = "n02084071", "n02083346", "n01317541"
PLAIN = {
    "vertebrate": {
        "bird": ["cock", "crane"],
        "canine": ["dalmatian", "pug", "timber wolf"],
        "feline": ["tabby", "lion"],
    },
    "invertebrate": ["ladybug", "bee", "snail"],
}


def words() -> dict[str, str]:
    return {synset: name.split(",")[0] for synset, name in NAMES.items()}


def animals() -> list[str]:
    return [synset for synset in CLASSES if synset != "n03126707"]


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("tree", "flat"), [("is_a", False), ("meta", False), ("meta", True), ("is_a", True)])
def test_both_layouts_and_both_trees_say_the_same(tmp_path: Path, tree: str, flat: bool) -> None:
    found = read_imagenet(str(write_imagenet(tmp_path, tree=tree, flat=flat)), ANIMAL, levels=[2, 4])
    assert found.tree == PLAIN
    assert found.synsets == animals()
    assert found.classes == [words()[synset] for synset in animals()]
    assert found.train.labels.bincount().tolist() == [5] * 10
    assert found.test.labels.bincount().tolist() == [2] * 10
    for path, size, label in zip(*found.train, strict=True):
        assert path.split("/")[1] == found.synsets[label] and (tmp_path / path).stat().st_size == size
    assert found.events == [
        "data.source.below=n00015388: 1 of 11 classes are not below it",
        "data.source.tree: 2, 4 nodes on its levels, cut by a rule",
    ]


def test_flat_test_images_have_the_labels_of_the_devkit(tmp_path: Path) -> None:
    write_imagenet(tmp_path, tree="meta", flat=True)
    found = read_imagenet(str(tmp_path), ANIMAL, levels=None)
    devkit = tmp_path / "ILSVRC2012_devkit_t12" / "data"
    numbers = [int(line) for line in (devkit / "ILSVRC2012_validation_ground_truth.txt").read_text().split()]
    assert len(numbers) == 22 and len(found.test.paths) == 20  # the machine is no animal
    for path, label in zip(found.test.paths, found.test.labels.tolist(), strict=True):
        number = numbers[int(path[-13:-5]) - 1]
        assert CLASSES[number - 1] == found.synsets[label]


def test_names_that_two_classes_have_are_told_apart(tmp_path: Path) -> None:
    found = read_imagenet(str(write_imagenet(tmp_path)), None, levels=None)
    assert found.classes.count("crane (n02012849)") == found.classes.count("crane (n03126707)") == 1
    assert len(found.classes) == 11 and found.tree is None


def test_a_synset_is_below_its_deepest_parent() -> None:
    paths = paths_to(IS_A, ["n02110341", "n03126707"], ANIMAL)
    assert list(paths) == ["n02110341"]  # no machine is an animal
    assert paths["n02110341"][-3:] == [CANINE, DOG, "n02110341"] and paths["n02110341"][0] == ANIMAL
    turned = {child: list(reversed(parents)) for child, parents in IS_A.items()}
    assert paths_to(turned, ["n02110341"], ANIMAL) == paths
    only = IS_A | {DOG: [DOMESTIC]}
    assert paths_to(only, ["n02110341"], ANIMAL)["n02110341"] == [ANIMAL, DOMESTIC, DOG, "n02110341"]


def test_a_circle_is_told() -> None:
    with pytest.raises(UserError, match="above itself"):
        paths_to(IS_A | {"n01861778": ["n02084071"]}, ["n02110341"], ANIMAL)


def test_chains_collapse_and_levels_grow_from_the_largest_node() -> None:
    two = wordnet_tree(IS_A, words(), animals(), levels=[2])
    assert two.tree == {
        "vertebrate": ["cock", "crane", "dalmatian", "pug", "timber wolf", "tabby", "lion"],
        "invertebrate": ["ladybug", "bee", "snail"],
    }
    assert two.sizes == [2] and two.lost == []
    four = wordnet_tree(IS_A, words(), animals(), levels=[2, 3, 4])
    assert four.tree == {
        "vertebrate": {
            "bird": ["cock", "crane"],
            "mammal": {"canine": ["dalmatian", "pug", "timber wolf"], "feline": ["tabby", "lion"]},
        },
        "invertebrate": ["ladybug", "bee", "snail"],
    }
    # neither wolf nor snail could stand alone beside what is left, so nothing more is cut
    assert wordnet_tree(IS_A, words(), animals(), levels=[2, 4, 40]) == (PLAIN, [], [2, 4, 4])


def test_what_is_too_small_stands_together_or_is_left_out() -> None:
    parents = {"b": ["a"], "c": ["a"], "d": ["a"], "e": ["a"]}
    parents |= {f"b{k}": ["b"] for k in range(3)} | {f"c{k}": ["c"] for k in range(2)}
    leaves = ["b0", "b1", "b2", "c0", "c1", "d", "e"]
    found = wordnet_tree(parents, {"a": "all", "b": "bees"}, leaves, "a", [3])
    assert found == ({"bees": ["b0", "b1", "b2"], "c": ["c0", "c1"], "other all": ["d", "e"]}, [], [3])
    alone = wordnet_tree(parents, {}, leaves[:-1], "a", [2])
    assert alone == ({"b": ["b0", "b1", "b2"], "c": ["c0", "c1"]}, ["d"], [2])
    larger = wordnet_tree(parents, {}, leaves, "a", [2], smallest=3)
    assert larger == ({"b": ["b0", "b1", "b2"], "other a": ["c0", "c1", "d", "e"]}, [], [2])
    assert wordnet_tree(parents, {}, ["d", "e"], "a", [2]) == (["d", "e"], [], [1])


def test_no_node_is_called_like_a_class() -> None:
    parents = {"b": ["a"], "c": ["a"], "b0": ["b"], "b1": ["b"], "c0": ["c"], "c1": ["c"]}
    names = {"b": "crab", "b0": "crab", "c0": "ant", "c1": "bee"}
    found = wordnet_tree(parents, names, ["b0", "b1", "c0", "c1"], "a", [2])
    assert found.tree == {"crab (b)": ["crab", "b1"], "c": ["ant", "bee"]}


def test_classes_that_are_left_out_have_no_images(tmp_path: Path) -> None:
    write_imagenet(tmp_path, classes=[synset for synset in CLASSES if synset != "n01514668"])  # the crane is alone now
    found = read_imagenet(str(tmp_path), ANIMAL, levels=[2, 3])
    assert found.tree == {
        "vertebrate": {"canine": ["dalmatian", "pug", "timber wolf"], "feline": ["tabby", "lion"]},
        "invertebrate": ["ladybug", "bee", "snail"],
    }
    assert "data.source.tree: 1 classes stand alone and are left out (crane)" in found.events
    assert len(found.classes) == 8 and "crane" not in found.classes
    for files in (found.train, found.test):
        assert files.labels.unique().tolist() == list(range(8)) and "n02012849" not in " ".join(files.paths)
    assert from_plain(found.tree, found.classes).classes == tuple(found.classes)
    whole = read_imagenet(str(tmp_path), ANIMAL, levels=None)
    assert "crane" in whole.classes and len(whole.train.paths) == 9 * 5


@pytest.mark.parametrize(
    ("levels", "smallest", "told"),
    [([], 2, "levels=[]"), ([3, 2], 2, "levels=[3, 2]"), ([1, 2], 2, "levels=[1, 2]"), ([2], 1, "smallest=1")],
)
def test_wrong_levels(levels: list[int], smallest: int, told: str) -> None:
    with pytest.raises(UserError) as error:
        wordnet_tree(IS_A, words(), animals(), levels=levels, smallest=smallest)
    assert told in one_line(error)


def test_labels_that_disagree_with_the_tree() -> None:
    with pytest.raises(UserError) as error:
        wordnet_tree(IS_A, words(), CLASSES)
    assert "class n03126707: is not below n00015388" in one_line(error)
    with pytest.raises(UserError) as error:
        wordnet_tree(IS_A, words(), [*animals(), DOG])
    assert f"class {DOG}: is above class n02110341" in one_line(error)
    with pytest.raises(UserError) as error:
        wordnet_tree(IS_A, words(), animals()[:1])
    assert "needs two" in one_line(error)


def test_folders_that_disagree_with_the_tree(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path)

    def told(**options: object) -> str:
        with pytest.raises(UserError) as error:
            read_imagenet(str(root), **{"below": ANIMAL, "levels": [2], **options})  # type: ignore[arg-type]
        return one_line(error)

    assert "no class of train is below it" in told(below="n99999999")
    assert "leave_out=n00000001: no class of train" in told(leave_out=["n00000001"])
    (root / "train" / "n02119789").mkdir()
    assert "n02119789: this class is not in wordnet.is_a.txt" in told()
    assert "n02119789" not in read_imagenet(str(root), ANIMAL, ["n02119789"], [2]).synsets
    (root / "train" / "n02119789").rename(root / "train" / "fox")
    assert "train/fox: is called by no WordNet id" in told()
    (root / "train" / "fox").rmdir()
    for file in (root / "train" / "n02110958").iterdir():
        file.unlink()
    assert str(root / "train" / "n02110958") + ": holds no image" in told()
    shutil.rmtree(root / "train" / "n02110958")
    shutil.rmtree(root / "val" / "n02110341")
    assert str(root / "val" / "n02110341") + ": holds no image" in told()


def test_stylized_imagenet_has_nothing_but_its_folders(tmp_path: Path) -> None:
    whole = write_imagenet(tmp_path / "whole")
    for part in ("train", "val"):
        shutil.copytree(whole / part, tmp_path / "stylized" / part)
    found = read_imagenet(str(tmp_path / "stylized"), levels=None)
    assert found.synsets == found.classes == sorted(path.name for path in (whole / "train").iterdir())
    assert found.tree is None and not found.events and len(found.test.paths) == len(list(whole.glob("val/*/*")))
    with pytest.raises(UserError, match=r"neither wordnet\.is_a\.txt nor"):
        read_imagenet(str(tmp_path / "stylized"), below=ANIMAL, levels=None)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path, tree="meta", flat=True)
    devkit = root / "ILSVRC2012_devkit_t12" / "data"

    def told() -> str:
        with pytest.raises(UserError) as error:
            read_imagenet(str(root), ANIMAL, levels=None)
        return one_line(error)

    truth = devkit / "ILSVRC2012_validation_ground_truth.txt"
    lines = truth.read_text()
    truth.write_text(lines + "1\n")
    assert "23 labels for 22 images" in told()
    truth.write_text(lines.replace(lines.split()[0], "999"))
    assert "999 is no number of a class" in told()
    truth.unlink()
    assert "ground_truth" in told()
    (devkit / "meta.mat").write_bytes(b"MATLAB 5.0, but cut off")
    assert "meta.mat: not the devkit's list" in told()
    (devkit / "meta.mat").unlink()
    assert "neither wordnet.is_a.txt nor" in told()
    (root / "wordnet.is_a.txt").write_text("n00015388 n01466257\ntabby cat\n")
    assert "line 2 is 'tabby cat'" in told()
    shutil.rmtree(root / "val")
    (root / "wordnet.is_a.txt").write_text("\n".join(f"{p} {c}" for c, above in IS_A.items() for p in above))
    assert "has no folder val" in told()
    shutil.rmtree(root / "train")
    assert "has no folder train" in told()


def test_the_readers_agree(tmp_path: Path) -> None:
    write_imagenet(tmp_path)
    assert read_is_a(tmp_path / "wordnet.is_a.txt") == IS_A
    ids = write_meta(tmp_path / "meta.mat")
    meta = read_meta(tmp_path / "meta.mat")
    assert {child: sorted(parents) for child, parents in meta.parents.items()} == {
        child: sorted(parents) for child, parents in IS_A.items()
    }
    assert meta.names == read_wordnet(tmp_path).names == words()
    assert meta.numbers == {number: synset for synset, number in ids.items()}
    (tmp_path / "words.txt").rename(tmp_path / "LOC_synset_mapping.txt")
    assert read_wordnet(tmp_path).names == words()


def test_the_preset_has_the_keys_that_the_loader_reads() -> None:
    import inspect

    from omegaconf import OmegaConf

    from src.core.paths import ROOT
    from src.data.opening import data_module
    from src.data.streaming import StreamingImages

    config = OmegaConf.load(ROOT / "conf" / "data" / "imagenet_animals.yaml")
    assert config.source._get_node("root")._value() == "${imagenet_root}"
    assert config.pop("defaults") == ["files/imagenet@_global_", "_self_"]
    preset = OmegaConf.to_container(
        OmegaConf.merge({"data_seed": 3}, config, {"source": {"root": "there"}}), resolve=True
    )
    assert isinstance(preset, dict) and data_module(preset) is StreamingImages  # type: ignore[arg-type]
    del preset["data_seed"]
    arguments = set(inspect.signature(StreamingImages).parameters)
    assert arguments - set(preset) == {"shuffle_seed"}
    data = StreamingImages(**preset)  # type: ignore[arg-type]
    assert data.folder.keys() == {"name", "root", "size", "below", "leave_out", "tree"}
    assert data.training_cut.crop == 224 and data.training_cut.side == 256 and data.seed == 3

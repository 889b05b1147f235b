"""WordNet's is-a graph and its names, from the files that come with ImageNet."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.core.configuration import first_line
from src.core.errors import UserError
from src.core.paths import ROOT

IS_A, WORDS, MAPPING = "wordnet.is_a.txt", "words.txt", "LOC_synset_mapping.txt"
DEVKIT = "ILSVRC2012_devkit_t12/data"
META = "meta.mat"
WNID = re.compile(r"n\d{8}")


@dataclass
class WordNet:
    """What is known of synsets, by their WordNet ids (``n02084071``)."""

    origin: str = ""  # the file that says what is what
    parents: dict[str, list[str]] = field(default_factory=dict)  # of each synset that has any
    names: dict[str, str] = field(default_factory=dict)  # the first of each synset's words
    numbers: dict[int, str] = field(default_factory=dict)  # ILSVRC2012_ID to id; validation labels are such numbers


def read_wordnet(root: Path) -> WordNet:
    """All that the folder of a data set has: ``wordnet.is_a.txt``, ``words.txt``, the devkit's ``meta.mat`` ...

    The is-a file goes before the devkit, words before the mapping, and that before the devkit's words.

    Raises:
        UserError: neither file with a tree is there, or one is damaged.
    """
    meta = root / DEVKIT / META
    wordnet = read_meta(meta) if meta.is_file() else WordNet()
    if (root / IS_A).is_file():
        wordnet.parents, wordnet.origin = read_is_a(root / IS_A), IS_A
    if not wordnet.parents:
        raise UserError(f"data.source.root={root}: holds neither {IS_A} nor {DEVKIT}/{META}; put one of them there")
    for name in (MAPPING, WORDS):
        if (root / name).is_file():
            wordnet.names |= read_words(root / name)
    return wordnet


def has_wordnet(root: Path) -> bool:
    """Whether one of the files that :func:`read_wordnet` needs is there."""
    return (root / IS_A).is_file() or (root / DEVKIT / META).is_file()


def read_is_a(path: Path) -> dict[str, list[str]]:
    """Lines of two ids, parent and child -> child to its parents, in the file's order.

    Raises:
        UserError: a line is something else.
    """
    parents: dict[str, list[str]] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or not all(WNID.fullmatch(word) for word in words):
            raise UserError(f"{path}: line {number} is '{line[:60]}'; expected two WordNet ids, n00015388 n01466257")
        parents.setdefault(words[1], []).append(words[0])
    return parents


def read_words(path: Path) -> dict[str, str]:
    """Lines of an id and words (``n01440764 tench, Tinca tinca``) -> id to the first word."""
    lines = (line.split(maxsplit=1) for line in _text(path).splitlines())
    return {words[0]: first_word(words[1]) for words in lines if len(words) == 2}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({first_line(error)}); get it anew") from None


def first_word(words: str) -> str:
    """Of a synset's words, which commas separate."""
    return words.split(",")[0].strip()


def read_meta(path: Path) -> WordNet:
    """The devkit's ``meta.mat``: tree, words and numbers of the classes and of what is above them.

    Raises:
        UserError: it is no such file.
    """
    # scipy's reader of damaged files may crash, which must not be this process
    command = [sys.executable, "-c", f"import sys; from {__name__} import print_meta; print_meta(sys.argv[1])"]
    ended = subprocess.run([*command, str(path.absolute())], cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        problem = (ended.stderr.strip().splitlines() or ["its reader crashed"])[-1][:200]
        raise UserError(f"{path}: not the devkit's list of synsets ({problem}); unpack the devkit anew")
    parents, names, ids = json.loads(ended.stdout)
    return WordNet(META, parents, names, {int(number): synset for number, synset in ids.items()})


def print_meta(path: str) -> None:
    """What :func:`read_meta` reads, as JSON."""
    from scipy.io import loadmat  # reads numbers and words, unpickles nothing

    rows = [dict(row) for row in loadmat(path, simplify_cells=True)["synsets"]]
    ids = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in rows}
    names = {str(row["WNID"]): first_word(str(row["words"])) for row in rows}
    parents: dict[str, list[str]] = {}
    for row in rows:
        for child in _numbers(row["children"]):
            parents.setdefault(ids[child], []).append(str(row["WNID"]))
    print(json.dumps([parents, names, ids]))


def _numbers(children: Any) -> list[int]:
    """A row of the table's children: a number, an array of numbers, or nothing."""
    return [int(number) for number in children.ravel()] if hasattr(children, "ravel") else [int(children)]


def paths_to(
    parents: Mapping[str, Sequence[str]], leaves: Sequence[str], root: str, origin: str = IS_A
) -> dict[str, list[str]]:
    """For each leaf below ``root`` the way down to it: ids from ``root`` to the leaf. Others are left out.

    Where a synset has several parents, it is below the one that lies deepest (the longest way from ``root``; among
    equals the lowest id): a dog is a canine, not a domestic animal. This does not depend on the order of a file.

    Raises:
        UserError: a synset is above itself.
    """
    ways: dict[str, list[str] | None] = {root: [root]}

    def way(synset: str, below: tuple[str, ...]) -> list[str] | None:
        if synset in below:
            raise UserError(f"{origin}: {synset} is above itself; the file is damaged, get it anew")
        if synset not in ways:
            above = [way(parent, (*below, synset)) for parent in sorted(set(parents.get(synset, ())))]
            longest = max((path for path in above if path is not None), key=len, default=None)
            ways[synset] = None if longest is None else [*longest, synset]
        return ways[synset]

    return {leaf: path for leaf in leaves if (path := way(leaf, ())) is not None}

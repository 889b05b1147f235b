"""The list of variants against the figures of the original programme; the scale, free parameters, and the spread."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from src.core.errors import UserError
from src.methods.widths.variants import Variant, baseline, blocks, find, paper_parameters, spread, variants

REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "vgg_variants_depth16.json"
SHA256 = "92095da49c2b32aa6e7fdfe96d715da766e177d8a3c4f9b8783e2a9bc211f6fa"
"""Of the original's list for depth 16: JSON of [id, widths, parameters, location, scale, skew] of every variant."""


def rows(depth: int = 16) -> list[list[Any]]:
    return [
        [int(v.name), list(v.widths), paper_parameters(v.widths, depth), v.location, v.scale, v.skew]
        for v in variants(depth)
    ]


def parameters(depth: int) -> list[int]:
    return sorted(row[2] for row in rows(depth))


def test_the_list_for_depth_16_is_the_originals() -> None:
    assert hashlib.sha256(json.dumps(rows()).encode()).hexdigest() == SHA256


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the original's list is not on this machine")
def test_the_list_for_depth_16_equals_the_file() -> None:
    models = json.loads(REFERENCE.read_text())["models"]
    assert rows() == [[m["id"], m["filters"], m["params"], m["mean"], m["var"], m["skew"]] for m in models]


def test_the_figures_for_depth_16() -> None:
    found = variants()
    assert len(found) == len({v.widths for v in found}) == 193
    first, last = found[0], found[192]
    assert first == Variant("0", (823, 961, 852, 708, 552, 405, 279, 181, 110, 63, 34, 17, 9, 4, 2), 0.0, 4.0, 8.0)
    assert last.widths == (24, 38, 58, 85, 123, 170, 229, 298, 375, 457, 539, 615, 679, 724, 617)
    assert (last.name, last.location, last.scale, last.skew) == ("192", 15.0, 5.5, -12.0)
    assert paper_parameters(first.widths, 16) == 27_206_551
    assert (parameters(16)[0], parameters(16)[96], parameters(16)[-1]) == (13_771_031, 21_948_651, 31_953_977)
    counts = {0: 34, 1: 40, 2: 11, 3: 5, 4: 1, 6: 2, 7: 4, 8: 4, 9: 2, 11: 1, 12: 5, 13: 11, 14: 40, 15: 33}
    assert Counter(v.location for v in found) == counts
    totals = [sum(v.widths) for v in found]
    assert (min(totals), max(totals)) == (4995, 5204)


def test_the_figures_for_other_depths_and_the_full_bin() -> None:
    assert len(variants(13)) == 194
    assert len(variants(19)) == 139 and len(variants(19)[0].widths) == 18
    lightest, middle, heaviest = (parameters(19)[i] / 1e6 for i in (0, 69, 138))
    assert (round(lightest, 2), round(middle, 2), round(heaviest, 2)) == (21.33, 33.64, 42.21)
    totals = [sum(v.widths) for v in variants(19)]
    assert (min(totals), max(totals)) == (6212, 6471)
    assert len(variants(16, integration="full_bin")) == 204
    assert len(variants(19, integration="full_bin")) == 145


def test_vgg_a_has_a_list_by_the_same_rule() -> None:
    assert blocks(11) == (1, 1, 2, 2, 2)
    assert baseline(11).widths == (64, 128, 256, 256, 512, 512, 512, 512, 512, 512)
    assert paper_parameters(baseline(11).widths, 11) == 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256**2) + 9 * (
        256 * 512 + 3 * 512**2
    ) + (2 * 512**2 + 512 * 10)
    found = variants(11)
    assert len(found) == len({v.widths for v in found}) == 155
    assert all(len(v.widths) == 10 and min(v.widths) >= 2 for v in found)
    assert {v.location for v in found} <= {float(k) for k in range(11)}


def test_the_baseline_is_vgg_and_not_in_the_list() -> None:
    assert paper_parameters(baseline().widths, 16) == 15_239_872
    assert paper_parameters(baseline(19).widths, 19) == 20_548_288
    assert (sum(baseline().widths), sum(baseline(19).widths)) == (5248, 6528)
    closest = min(sum(abs(a - b) for a, b in zip(v.widths, baseline().widths, strict=True)) for v in variants())
    assert closest == 1077
    assert baseline(16, 1 / 8).widths == (8, 8, 16, 16, 32, 32, 32, *[64] * 8)
    assert min(baseline(16, 1e-6).widths) == 2
    assert baseline(head=4096).widths[-2:] == (4096, 4096)
    assert blocks(16) == (2, 2, 3, 3, 3) and blocks(19) == (2, 2, 4, 4, 4)


@pytest.mark.parametrize("features", [1 / 16, 0.3, 2.0])
def test_fewer_features_keep_names_and_shares(features: float) -> None:
    full, scaled = variants(), variants(16, features)
    assert [(v.name, v.location, v.scale, v.skew) for v in full] == [
        (v.name, v.location, v.scale, v.skew) for v in scaled
    ]
    for one, other in zip(full, scaled, strict=True):
        # a width w at full size is the share ]w - 1, w]
        assert all(math.ceil((a - 1) * features) <= b <= max(2, math.ceil(a * features))
                   for a, b in zip(one.widths, other.widths, strict=True))  # fmt: skip
        assert min(other.widths) >= 2


def test_a_larger_head_counts_into_the_total() -> None:
    assert all(sum(v.widths) <= 2 * 4096 + 4224 for v in variants(head=4096))
    assert max(sum(v.widths) for v in variants(head=4096)) > 0.95 * (2 * 4096 + 4224)


def test_variants_are_found_by_number_and_parameters() -> None:
    assert find("baseline", 16, 0.5) == baseline(16, 0.5)
    assert find(7) == find("7") == variants()[7]
    assert find(192, features=0.125) == variants(16, 0.125)[192]
    free = find((0, 4, 8))
    assert free.name == "xi0_omega4_alpha8" and free.widths == variants()[0].widths
    between = find([7.25, 0.5, -1.5], features=0.01)
    assert between.name == "xi7.25_omega0.5_alpha-1.5"
    assert min(between.widths) == 2 and between.widths.index(max(between.widths)) == 6


@pytest.mark.parametrize(
    "which",
    [193, -1, "193", "07", "vgg", True, 1.0, None, (1, 2), (0, 0, 4), (0, -2, 4), ("a", 1, 2), (0, math.nan, 1)],
)
def test_what_is_no_variant_ends_in_one_line(which: Any) -> None:
    with pytest.raises(UserError, match=r"variant=.*depth 16 has 0 to 192, baseline, or \[location") as caught:
        find(which)
    assert "\n" not in str(caught.value)


def test_other_mistakes() -> None:
    for depth in (12, 7, 0, 17):
        with pytest.raises(UserError, match=f"depth={depth}: allowed are 10, 13, 16"):
            variants(depth)
    for features in (0, -1.0, math.inf):
        with pytest.raises(UserError, match=f"features={features}"):
            find("baseline", features=features)
    with pytest.raises(UserError, match="did you mean 'full_bin'"):
        variants(integration="fullbin")
    with pytest.raises(UserError, match="widths: 15 numbers, but depth 19 has 16 convolutions"):
        paper_parameters(baseline().widths, 19)


def test_the_spread_covers_early_middle_and_late_layers() -> None:
    known = variants()
    for count in (3, 6, 12, 24):
        chosen = spread(count)
        locations = [known[i].location or 0.0 for i in chosen]
        assert len(set(chosen)) == count and list(chosen) == sorted(chosen)
        for first, last in ((0, 4), (6, 9), (11, 15)):
            assert sum(first <= location <= last for location in locations) >= max(1, count // 6), (count, first)
    assert set(spread(6)) < set(spread(12)) < set(spread(24))
    assert len({known[i].location for i in spread(24)}) >= 12
    assert spread(193) == tuple(range(193)) and spread(1) == (0,)
    for count in (0, 194):
        with pytest.raises(UserError, match=f"count={count}: depth 16 has 1 to 193"):
            spread(count)


def test_chosen_variants_lie_further_apart_than_any_regular_choice() -> None:
    def nearest_pair(chosen: tuple[int, ...]) -> int:
        widths = [variants()[i].widths for i in chosen]
        return min(sum(abs(x - y) for x, y in zip(a, b, strict=True)) for k, a in enumerate(widths) for b in widths[:k])

    assert nearest_pair(spread(24)) > 5 * nearest_pair(tuple(range(0, 193, 8))[:24])


def test_the_list_is_made_without_a_heavy_package() -> None:
    code = "import sys; from src.methods.widths.variants import variants; variants(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                            cwd=Path(__file__).parents[3]).stdout.split()  # fmt: skip
    assert not {"torch", "numpy", "scipy", "pandas", "hydra"} & set(loaded)

"""Several networks on the same corrupted images, and the tables made of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.core.result import Result, rows, save
from src.data.image_set import ImageSet
from src.report.page import render
from src.studies.robustness import shifted as module
from src.studies.robustness.calibration_panels import _auroc, add_calibration, add_out_of_distribution
from src.studies.robustness.panels import add_corruption_sheet, add_robustness
from src.studies.robustness.shifted import (
    Reference,
    Shifted,
    chosen_images,
    predictor,
    read_reference,
    under_corruption,
)
from tests.fakes.study import FakeSession, network, pictures

CORRUPTIONS, SEVERITIES = ("gaussian_noise", "brightness"), (1, 5)


def log_probabilities(count: int, classes: int = 3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(count, classes, generator=generator)).double().log_softmax(1)


def measured(predictors, count=10, **options) -> Shifted:
    how = {"corruptions": CORRUPTIONS, "severities": SEVERITIES, "seed": 0, "batch": 4, "session": FakeSession()}
    return under_corruption(predictors, pictures(count), torch.arange(count) % 3, **{**how, **options})


def some_shifted(seed: int = 0, count: int = 40) -> Shifted:
    """Two networks of which the second is right more often; scores that agree with each other."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, len(CORRUPTIONS), len(SEVERITIES), count)
    right = torch.rand(shape, generator=generator) < torch.tensor([0.4, 0.7]).view(2, 1, 1, 1)
    clean = torch.rand(2, count, generator=generator) < torch.tensor([0.6, 0.9]).view(2, 1)

    def scores(correct):
        kinds = ("confidence", "nll", "nll_clipped", "brier", "entropy", "top5")
        return {"correct": correct.float(), **{kind: torch.rand(correct.shape, generator=generator) for kind in kinds}}

    auc = torch.full(shape[:-1], 0.5, dtype=torch.float64)
    return Shifted(("small", "large"), CORRUPTIONS, SEVERITIES, scores(clean), scores(right), auc[:, 0, 0], auc)


def test_every_image_is_corrupted_once_and_seen_by_all(monkeypatch):
    calls, seen = [], {"a": [], "b": []}
    corrupted = module.corrupted

    def counted(images, name, severity, **options):
        for part in corrupted(images, name, severity, **options):
            calls.append((name, severity, len(part)))
            yield part

    def answering(name):
        def answer(part):
            seen[name].append(part.clone())
            return log_probabilities(len(part))

        return answer

    monkeypatch.setattr(module, "corrupted", counted)
    found = measured({"a": answering("a"), "b": answering("b")})
    assert calls == [(name, s, n) for name in CORRUPTIONS for s in SEVERITIES for n in (4, 4, 2)]
    assert all(torch.equal(x, y) for x, y in zip(seen["a"], seen["b"], strict=True))
    assert torch.equal(torch.cat(seen["a"][:3]), pictures(10)), "the clean images come first, as they are"
    assert found.scores["correct"].shape == (2, 2, 2, 10) and found.images == 10


def test_scores_are_those_of_the_same_images_predicted_by_hand():
    found = measured({"network": predictor(network())})
    seen = torch.cat([*module.corrupted(pictures(10), CORRUPTIONS[1], SEVERITIES[1], seed=0, batch=4)])
    with torch.no_grad():
        own = network().model(network().normalise(seen)).double().log_softmax(1)
    labels = torch.arange(10) % 3
    assert torch.equal(found.scores["correct"][0, 1, 1], (own.argmax(1) == labels).float())
    expected = -own.gather(1, labels[:, None])[:, 0]
    assert torch.allclose(found.scores["nll"][0, 1, 1], expected.float(), atol=1e-5)
    assert torch.allclose(found.scores["confidence"][0, 1, 1], own.exp().amax(1).float(), atol=1e-6)


def test_the_seed_decides_and_nothing_else():
    first, same, other = (
        measured({"network": predictor(network())}, seed=seed, corruptions=["gaussian_noise"]) for seed in (0, 0, 1)
    )
    assert torch.equal(first.scores["nll"], same.scores["nll"])
    assert not torch.equal(first.scores["nll"], other.scores["nll"])
    assert torch.equal(first.clean["nll"], other.clean["nll"])


def test_published_images_take_the_place_of_ours():
    dark = torch.zeros_like(pictures(10))
    found = measured({"network": predictor(network())}, read=lambda name, severity: (dark + severity).split(3))
    with torch.no_grad():
        own = network().model(network().normalise(dark[:1] + 5)).double().softmax(1).max()
    assert torch.allclose(found.scores["confidence"][0, :, 1], own.float(), atol=1e-6)


def test_fewer_images_are_of_all_classes_in_turn():
    whole = ImageSet(pictures(7), torch.tensor([0, 0, 0, 1, 2, 1, 2]), ("a", "b", "c"))
    assert chosen_images(whole, 5).tolist() == [0, 1, 3, 4, 5]
    assert all(chosen_images(whole, count).tolist() == list(range(7)) for count in (None, 7))


def test_a_temperature_divides_the_logits():
    own, raw = network(), pictures(5)
    with torch.no_grad():
        logits = own.model(own.normalise(raw)).double()
    assert torch.allclose(predictor(own, 2.0)(raw), (logits / 2).log_softmax(1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"corruptions": ["gaussian_nois"]}, "no 'gaussian_nois'; did you mean 'gaussian_noise'"),
        ({"corruptions": []}, "name at least one"),
        ({"corruptions": ["fog", "fog"]}, "each only once"),
        ({"severities": [0]}, r"severities=\[0\]: allowed are different ones of 1, 2, 3, 4, 5"),
        ({"severities": [2, 2]}, r"severities=\[2, 2\]"),
        ({"severities": []}, r"severities=\[\]"),
    ],
)
def test_what_is_no_corruption_or_severity_is_refused(options, said):
    with pytest.raises(UserError, match=said):
        measured({}, **options)


def with_panels(found: Shifted, reference: Reference | None) -> Result:
    result = Result("measure", "n")
    add_robustness(result, found, reference, resamples=200, seed=0)
    return result


def test_mce_is_the_mean_over_corruptions_of_summed_errors_against_the_reference():
    found = some_shifted()
    small, large = rows(with_panels(found, found.reference("large")).tables["robustness"])
    errors = 1 - found.scores["correct"].double().mean(-1).numpy()  # (M, C, S)
    clean = 1 - found.clean["correct"].double().mean(-1).numpy()
    assert small["mce"] == pytest.approx((errors[0].sum(1) / errors[1].sum(1)).mean())
    lost = (errors - clean[:, None, None]).sum(2)
    assert small["relative_mce"] == pytest.approx((lost[0] / lost[1]).mean())
    assert small["mce_low"] < small["mce"] < small["mce_high"]
    assert large["mce"] == large["mce_low"] == large["mce_high"] == pytest.approx(1.0), "resampled with the same images"
    assert small["corrupted_accuracy"] == pytest.approx(1 - errors[0].mean())
    assert small["retained"] == pytest.approx((1 - errors[0].mean()) / (1 - clean[0]))


def test_without_a_reference_there_is_no_mce_and_it_is_said():
    result = with_panels(some_shifted(), None)
    assert "mce" not in result.tables["robustness"] and "ce" not in result.tables["corruptions"]
    assert "there is no mCE" in result.captions["robustness"]


def test_another_results_errors_are_a_reference(tmp_path):
    found = some_shifted()
    result = with_panels(found, None)
    save(result, tmp_path)
    other = read_reference(tmp_path, CORRUPTIONS, SEVERITIES)
    assert torch.allclose(other.errors[..., 0], 1 - found.scores["correct"][0].double().mean(-1))
    assert other.clean.item() == pytest.approx(1 - found.clean["correct"][0].double().mean().item())
    own, _ = rows(with_panels(found, other).tables["robustness"])
    assert own["mce"] == pytest.approx(1.0) and own["mce_low"] < 1 < own["mce_high"]
    with pytest.raises(UserError, match="has no fog of severity 1; measure it with the same study"):
        read_reference(tmp_path, ("fog",), (1,))
    with pytest.raises(UserError, match="no result can be read there"):
        read_reference(tmp_path / "nowhere", CORRUPTIONS, SEVERITIES)


def test_boxes_are_the_five_numbers_over_corruptions():
    found = some_shifted()
    box = rows(with_panels(found, None).tables["spread"])[1]
    means = found.scores["correct"][0, :, 1].double().mean(1).numpy()
    names = [f"accuracy{end}" for end in ("_low", "_q1", "", "_q3", "_high")]
    assert [box[name] for name in names] == pytest.approx(list(np.quantile(means, [0, 0.25, 0.5, 0.75, 1])))
    assert (box["network"], box["severity"], box["accuracy_mean"]) == ("small", 5, pytest.approx(means.mean()))


def test_images_whose_class_has_no_probability_are_counted_apart():
    found = some_shifted()
    nll = found.scores["nll"].clone()
    nll[0, 0, 0, :3] = torch.inf
    found = replace(found, scores={**found.scores, "nll": nll})
    row = rows(with_panels(found, None).tables["severities"])[1]
    assert row["infinite_nll"] == 3
    assert row["nll"] == pytest.approx(nll[0, :, 0][nll[0, :, 0].isfinite()].double().mean().item())


def test_all_panels_are_drawn():
    found = some_shifted()
    result = with_panels(found, found.reference("large"))
    answers, labels = {"small": log_probabilities(40), "large": log_probabilities(40, seed=1)}, torch.arange(40) % 3
    add_calibration(result, answers, labels)
    add_out_of_distribution(result, {name: (own, own[:7]) for name, own in answers.items()}, resamples=20)
    add_corruption_sheet(result, pictures(4), CORRUPTIONS, SEVERITIES, seed=0)
    page = render(result)
    assert "could not be drawn" not in page
    assert set(result.sections) == set(result.tables), "every table has its section"
    assert all(figure.section for figure in result.figures)
    assert result.images["corrupted_images"].shape == (2 * 2 * 18, 6 * 2 * 18, 3)  # 2 rows, 2 x 3 columns, 16 px + gap


def test_reliability_and_histograms_hold_every_image():
    result = Result("measure", "n")
    answers, labels = log_probabilities(50), torch.arange(50) % 3
    add_calibration(result, {"a": answers}, labels)
    found = result.tables["reliability"]
    assert sum(found["share"]) == pytest.approx(1.0)
    share = sum(n * a for n, a in zip(found["share"], found["accuracy"], strict=True))
    assert share == pytest.approx((answers.argmax(1) == labels).double().mean().item())
    for kind, top in (("confidence", 1.0), ("entropy", float(np.log(3)))):
        table = result.tables[f"{kind}_histogram"]
        assert sum(table["share"]) == pytest.approx(1.0) and max(table[kind]) < top
        mean = sum(s * m for s, m in zip(table["share"], table[kind], strict=True))
        assert mean == pytest.approx(result.tables["calibration"][kind][0], abs=top / 15)


def test_auroc_resamples_are_weighted_pairs(monkeypatch):
    from src.statistics.bootstrap import bootstrap_weights
    from src.studies.robustness import calibration_panels

    known, unknown = torch.tensor([0.9, 0.5, 0.5, 0.7]).double(), torch.tensor([0.5, 0.2, 0.8]).double()
    kept = []
    monkeypatch.setattr(calibration_panels, "estimate", lambda run, **_: kept.append(run))
    _auroc(known, unknown, resamples=7, seed=3)
    pairs = (known[:, None] > unknown).double() + 0.5 * (known[:, None] == unknown)
    first, second = (bootstrap_weights(n, resamples=7, seed=seed).double() for n, seed in ((4, 3), (3, 4)))
    expected = torch.einsum("bi,ij,bj->b", first, pairs, second) / 12
    assert kept[0].value == pytest.approx(pairs.mean().item())
    assert torch.allclose(kept[0].samples, expected)

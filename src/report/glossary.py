"""What words and numbers mean that many pages use; what one study alone uses, it says itself (`Opening.terms`)."""

from src.core.result import Result
from src.report.cells import bounds
from src.report.words import pretty

TERMS = {
    "accuracy": "Share of the test images that the network classifies right.",
    "auc": "Chance that an image of the class gets a higher score than one of another class; 50% is guessing.",
    "auroc": "Chance that an unknown image looks less certain to the network than a known one; 50% is guessing.",
    "best_epoch": "The epoch whose weights are kept.",
    "calibration": "Images on which probabilities are set right.",
    "change": "Difference to the value before.",
    "ece": "Expected calibration error: how far the network's confidence lies from its share of right answers.",
    "epoch": "One pass of the training over all its images.",
    "f1": "Harmonic mean of precision and recall: high only where both are.",
    "kernels": "Filters of the network's layers; a module keeps some of them.",
    "loss": "What training makes small: the surprise at the true class, in nats.",
    "macs": "Multiply-adds that one image costs.",
    "mce": "Mean corruption error: errors on corrupted images relative to a reference network's; below 100% is better.",
    "nll": "Mean surprise at the true class, in nats; lower is better.",
    "p": "Chance of as great a difference if there were none.",
    "p_holm": "Chance of as great an effect if there were none, made stricter because many are tested.",
    "parameters": "Numbers that training has set.",
    "precision": "Of the images that are called this class, the share that belong to it.",
    "recall": "Of the images of this class, the share that are called so.",
    "seed": "Number that all randomness of a job comes from: another seed is another training.",
    "seeds": "How many trainings a mean is over.",
    "spearman": "Rank correlation: 1 where two orders agree, -1 where they are opposed.",
    "split": "Part of the images: train, validation, calibration, test.",
    "stored_parameters": "Parameters of all parts of a network.",
    "test": "Images that judge, and were used for nothing else.",
    "train": "Images that a network learns from.",
    "training_macs": "Multiply-adds that trainings cost.",
    "validation": "Images that choose the epoch whose weights are kept.",
}


def explained(name: str, result: Result) -> str:
    """What a metric or a column of a result means; nothing where nobody says it."""
    said = result.opening.terms if result.opening else {}
    last = name.rsplit("/", 1)[-1]
    return next((terms[key] for terms in (said, TERMS) for key in (name, last) if key in terms), "")


def glossary(result: Result) -> dict[str, str]:
    """Word -> meaning, of what stands on the result's page."""
    said = result.opening.terms if result.opening else {}
    columns = (name for table in result.tables.values() for name in table if name not in bounds(table))
    others = sorted({*result.metrics, *columns} - said.keys(), key=lambda name: pretty(name).lower())
    names = [*said, *others]  # a study says its words in an order of its own
    # of the metrics of many targets, the word once
    words = {pretty(name.rsplit("/", 1)[-1]): meaning for name in names if (meaning := explained(name, result))}
    return {word[:1].upper() + word[1:]: meaning for word, meaning in words.items()}

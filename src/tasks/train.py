"""``task=train``: train one network from a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src.artifacts.predictions import of_part
from src.artifacts.trained import history_panel, no_verdict, trained
from src.core.estimate import Estimate
from src.core.result import Result, Verdict
from src.core.store import Store
from src.studies.composition.estimates import accuracies

if TYPE_CHECKING:
    from src.report.session import Session


def train(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train the recipe's network (or find it in the store) and measure it on the test images."""
    network = trained(config["recipe"], store, session, role="network", where="recipe", config=config)
    logits, labels = of_part(network, "test")
    estimates, _ = accuracies(
        {"network": logits.argmax(1)}, labels, "network", resamples=config["resamples"], seed=config["seed"]
    )
    accuracy = estimates["network"]
    result = Result("train", config["name"], uses=[network.digest])
    result.add(history_panel({"network": network}))
    metrics = {"test_accuracy": accuracy, "validation_accuracy": Estimate(network.accuracy)}
    sentence = f"trained: {accuracy.value:.1%} of the test images are classified right"
    verdict = Verdict(sentence, metrics=metrics, units=dict.fromkeys(metrics, "%"))
    result.conclude(verdict if network.converged else no_verdict("the network", network, verdict))
    return result

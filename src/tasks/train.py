"""``task=train``: train one network from a recipe."""

from src.artifacts.artifacts import Artifacts
from src.artifacts.network import of_part
from src.artifacts.trained import trained, training_panels, where_trained
from src.core.estimate import Estimate
from src.core.result import Result, Verdict
from src.statistics.bootstrap import accuracies
from src.tasks.options import Train


def train(options: Train, artifacts: Artifacts) -> Result:
    """Train the recipe's network (or find it in the artifacts.store) and measure it on the test images."""
    network = trained(options.recipe, artifacts, role="network", where="recipe")
    logits, labels = of_part(network, "test")
    estimates, _ = accuracies(
        {"network": logits.argmax(1)}, labels, "network", resamples=options.resamples, seed=options.seed
    )
    accuracy = estimates["network"]
    result = Result("train", artifacts.running.name, uses=[network.digest])
    result.add(*training_panels({"network": network}))
    metrics = {"test_accuracy": accuracy, "validation_accuracy": Estimate(network.accuracy)}
    sentence = f"trained: {accuracy.value:.1%} of the test images are classified right"
    verdict = Verdict(sentence, metrics=metrics, units=dict.fromkeys(metrics, "%"))
    result.conclude(where_trained(verdict, [("the network", network)]))
    return result

"""``task=train``: train one network from a recipe."""

from dataclasses import replace

from src.artifacts.artifacts import Artifacts
from src.artifacts.network import of_part
from src.artifacts.opening import images_said, network_said, with_article
from src.artifacts.trained import trained, training_panels, training_steps, where_trained
from src.core.estimate import Estimate
from src.core.result import Opening, Result, Verdict
from src.statistics.bootstrap import accuracies
from src.tasks.options import Train

TERMS = {
    "test_accuracy": "Share of the test images that are classified right; they were used for nothing else.",
    "validation_accuracy": "Accuracy on the images that chose the epoch, and so somewhat too high.",
}


def train(options: Train, artifacts: Artifacts) -> Result:
    """Train the recipe's network (or find it in the artifacts.store) and measure it on the test images."""
    result = Result("train", artifacts.running.name)
    said = with_article(network_said(options.recipe["model"]))
    result.opening = Opening(
        f"How well does {said} classify {images_said(options.recipe['data'])}?",
        "A network learns from training images whose true classes it is told, many times over (an epoch is one pass "
        "over all of them). Images that it does not learn from choose the epoch whose weights are kept (validation). "
        "Then it names the classes of test images, which were used for nothing else.",
        terms=TERMS,
    )
    network = trained(options.recipe, artifacts, role="network", where="recipe")
    logits, labels = of_part(network, "test")
    estimates, _ = accuracies(
        {"network": logits.argmax(1)}, labels, "network", resamples=options.resamples, seed=options.seed
    )
    accuracy = estimates["network"]
    steps, pictures = training_steps(network, accuracy.value)
    result.opening = replace(result.opening, steps=steps)
    result.uses.append(network.digest)
    result.add(*training_panels({"network": network}), *pictures)
    metrics = {"test_accuracy": accuracy, "validation_accuracy": Estimate(network.accuracy)}
    sentence = f"trained: {accuracy.value:.1%} of the test images are classified right"
    verdict = Verdict(sentence, metrics=metrics, units=dict.fromkeys(metrics, "%"))
    result.conclude(where_trained(verdict, [("the network", network)]))
    return result

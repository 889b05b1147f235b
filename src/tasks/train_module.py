"""``task=train_module``: one module of a label tree, so that all of them can be trained side by side by a sweep."""

from dataclasses import replace

from src.artifacts.artifacts import Artifacts
from src.artifacts.composed import tree_in
from src.artifacts.network import of_part
from src.artifacts.opening import images_said, listed, network_said, with_article
from src.artifacts.trained import images_of, no_verdict, trained, training_panels, training_steps
from src.artifacts.tree_modules import node_images, recipe_name
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.result import Opening, Result, Verdict
from src.methods.hierarchy.nodes import Tree
from src.statistics.bootstrap import proportion
from src.tasks.options import TrainModule

TERMS = {
    "test_accuracy": "Share of the test images below the node that are given to the right child.",
    "validation_accuracy": "The same of the images that chose the epoch, and so somewhat too high.",
}


def train_module(options: TrainModule, artifacts: Artifacts) -> Result:
    """Train the module (or find it in the artifacts.store, where ``task=compose`` looks for it too)."""
    data = images_of(options.monolith, artifacts.session, "monolith", "monolith")
    tree = tree_in(options, data, artifacts)
    node = _node(options.module, tree)
    name, where = tree.nodes[node].name, recipe_name(tree, node)
    images = node_images(options, tree, node, data)
    result = Result("train_module", artifacts.running.name)
    children, said = tree.nodes[node].children, with_article(network_said(getattr(options, where)["model"]))
    result.opening = Opening(
        f"How well does {said} tell {listed(children)} apart ({images_said(options.monolith['data'])})?",
        "A label tree groups the classes; a network of its own, a module, decides at each node which of its children "
        f"an image belongs to. This job trains the module of '{name}' alone, on images of the classes below it, and "
        "tests it on such images; task=compose puts all modules together.",
        terms=TERMS,
    )
    module = trained(getattr(options, where), artifacts, role=f"modules: {name}", where=where, data=images)
    logits, labels = of_part(module, "test")
    right = int((logits.argmax(1) == labels).sum())
    metrics = {
        "test_accuracy": proportion(right, len(labels), unit="images"),
        "validation_accuracy": Estimate(module.accuracy),
    }
    steps, pictures = training_steps(module, right / len(labels))
    result.opening = replace(result.opening, steps=steps)
    result.uses.append(module.digest)
    result.add(*training_panels({name: module}), *pictures)
    verdict = Verdict(
        f"{name}: {right / len(labels):.1%} of the test images below it are given to the right child",
        metrics=metrics,
        units=dict.fromkeys(metrics, "%"),
        row={"module": name, "outputs": len(images.classes), "train_images": len(images.sets["train"])},
    )
    result.conclude(no_verdict("the module", module, verdict) if module.no_number else verdict)
    return result


def _node(wanted: int | str, tree: Tree) -> int:
    """Number of the node.

    Raises:
        UserError: there is none of that number or name.
    """
    if isinstance(wanted, int):
        if wanted not in range(len(tree.nodes)):
            raise UserError(f"module={wanted}: the tree's nodes are numbered 0 to {len(tree.nodes) - 1}")
        return wanted
    return tree.node(wanted)

"""``task=transfer``: are experts worth keeping? In another tree of routers, and for images of another look.

Warm starts and shared features after J. Yosinski et al., "How transferable are features in deep neural networks?"
(2014): few images of the target, with the source's weights and without.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from src.artifacts.artifacts import Artifacts
from src.artifacts.changed_networks import altered
from src.artifacts.composed import tree_of
from src.artifacts.composition import composition_of, confusion, views_of
from src.artifacts.network import Trained
from src.artifacts.trained import check_recipe, images_of, trained, training_panels, where_trained
from src.artifacts.tree_modules import TreeModules, modules_of_tree
from src.core.errors import UserError
from src.core.result import Result
from src.data.datamodule import ImageData
from src.methods.hierarchy.nodes import Tree
from src.studies.transfer.few_images import (
    STARTS,
    TargetFindings,
    TargetImages,
    expert_findings,
    sizes_of,
    target_findings,
    target_images,
    trained_further,
)
from src.studies.transfer.opening import opening, steps
from src.studies.transfer.options import Transfer
from src.studies.transfer.panels import target_panels, tree_panel, verdict
from src.studies.transfer.tree import (
    arranged,
    check_other_tree,
    check_shared,
    confusions_of,
    other_tree,
    tree_findings,
)


def transfer(options: Transfer, artifacts: Artifacts) -> Result:
    """Train the modules of one tree, put their experts into another tree, and to other images."""
    composition_of(options)  # from here on what is wrong is said before anything trains
    for role in ("router", "expert"):
        check_recipe(getattr(options, role), role)
    altered(options.expert, options.few, "few")
    data = images_of({"data": options.data, "seed": options.router["seed"]}, artifacts.session, "modules", "modules")
    views_of(options, data)
    target = target_images(options, data, artifacts.session)
    sizes = sizes_of(options, target, artifacts.session)
    result = Result("transfer", artifacts.running.name)
    result.opening = opening(options, sizes)
    tree = _source_tree(options, data, artifacts)
    experts = _chosen(tree, options.experts)
    check_other_tree(options, tree, data)
    modules = modules_of_tree(options, tree, data, artifacts)
    goal = other_tree(options, tree, data, lambda: confusions_of(options, modules, data))
    check_shared(options, tree, goal)
    networks = arranged(options, modules, goal, data, artifacts)
    with artifacts.session.stage("other tree: test"):
        trees = tree_findings(networks, data, options)
    on_target, further = _on_target(modules, experts, target, sizes, options, artifacts)
    uses = [digest for network in networks.values() for digest in network.uses]
    uses += [network.digest for _, network in further]
    result.uses = list(dict.fromkeys(uses))
    boxes, pictures = steps(trees, on_target, data, target.data)
    result.opening = replace(result.opening, steps=boxes)
    named = dict(zip((node.name for node in tree.nodes), modules.modules, strict=True))
    result.add(*training_panels(named), tree_panel(trees), *target_panels(on_target), *pictures)
    row = {"data": data.source["name"], "target": target.data.source["name"], "tree": options.tree["name"]}
    of_trees = [
        (f"the module '{node.name}'", module)
        for network in networks.values()
        for node, module in zip(network.tree.nodes, network.modules, strict=True)
    ]
    result.conclude(where_trained(verdict(trees, on_target, row), [*of_trees, *further]))
    return result


def _on_target(
    modules: TreeModules,
    nodes: Sequence[int],
    target: TargetImages,
    sizes: Sequence[int],
    options: Transfer,
    artifacts: Artifacts,
) -> tuple[TargetFindings, list[tuple[str, Trained]]]:
    """The experts at ``nodes`` on images of the other look, and what was trained on these, by its name in words."""
    experts, further = [], []
    for number, node in enumerate(nodes):
        images, source, name = target.below(modules.tree, node), modules.modules[node], modules.tree.nodes[node].name
        networks = trained_further(name, source, images, sizes, options, artifacts)
        further += [
            (f"the expert '{name}' with {count} images per class, {STARTS[start]},", network)
            for (start, count), network in networks.items()
        ]
        seed = options.seed + 1000 * (number + 1)  # another expert has other images, and other resamples
        experts.append(expert_findings(name, source, images, networks, resamples=options.resamples, seed=seed))
    return target_findings(experts, sizes, options.seed), further


def _chosen(tree: Tree, wanted: int | None) -> list[int]:
    """The first ``wanted`` experts of the tree, or all."""
    experts = [node for node in range(len(tree.nodes)) if tree.is_expert(node)]
    if wanted is not None and (type(wanted) is not int or not 1 <= wanted <= len(experts)):
        raise UserError(f"experts={wanted}: the tree has {len(experts)}; take 1 to {len(experts)}, or null for all")
    return experts[:wanted]


def _source_tree(options: Transfer, data: ImageData, artifacts: Artifacts) -> Tree:
    def confusions() -> Tensor:
        network = trained(options.router, artifacts, role="all classes", where="router", data=data)
        return confusion(network, "validation")

    return tree_of(options.tree, data, confusions)

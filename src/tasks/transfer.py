"""``task=transfer``: are experts worth keeping? In another tree of routers, and for images of another look.

Warm starts and shared features after J. Yosinski et al., "How transferable are features in deep neural networks?"
(2014): few images of the target, with the source's weights and without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from src.artifacts.changed_networks import altered
from src.artifacts.composition import composition_of, confusion, views_of
from src.artifacts.label_tree import tree_of
from src.artifacts.trained import check_recipe, images_of, no_verdict, trained
from src.artifacts.tree_modules import TreeModules, modules_of_tree
from src.core.errors import UserError
from src.core.result import Result
from src.core.store import Store
from src.data.datamodule import ImageData
from src.methods.hierarchy.nodes import Tree
from src.studies.transfer.data import TargetImages, sizes_of, target_images
from src.studies.transfer.few_images import TargetFindings, expert_findings, target_findings, trained_further
from src.studies.transfer.panels import target_panels, tree_panel, verdict
from src.studies.transfer.tree import (
    arranged,
    check_other_tree,
    check_shared,
    confusions_of,
    other_tree,
    tree_findings,
)

if TYPE_CHECKING:
    from src.report.session import Session


def transfer(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train the modules of one tree, put their experts into another tree, and to other images."""
    composition_of(config)  # from here on what is wrong is said before anything trains
    for role in ("router", "expert"):
        check_recipe(config[role], role)
    altered(config["expert"], config["few"], "few")
    data = images_of({"data": config["data"], "seed": config["router"]["seed"]}, session, "modules", "modules")
    views_of(config, data)
    target = target_images(config, data, session)
    sizes = sizes_of(config, target, session)
    tree = _source_tree(config, data, store, session)
    experts = _chosen(tree, config["experts"])
    check_other_tree(config, tree, data)
    modules = modules_of_tree(config, tree, data, store, session)
    goal = other_tree(config, tree, data, lambda: confusions_of(config, modules, data))
    check_shared(config, tree, goal)
    networks = arranged(config, modules, goal, data, store, session)
    with session.stage("other tree: test"):
        trees = tree_findings(networks, data, config)
    on_target, digests = _on_target(modules, experts, target, sizes, config, store, session)
    uses = [digest for network in networks.values() for digest in network.uses]
    result = Result("transfer", config["name"], uses=list(dict.fromkeys([*uses, *digests])))
    for panel in (tree_panel(trees), *target_panels(on_target)):
        result.add(panel)
    row = {"data": data.source["name"], "target": target.data.source["name"], "tree": config["tree"]["name"]}
    conclusion = verdict(trees, on_target, row)
    unfit = next((node for node in experts if not modules.modules[node].converged), None)
    if unfit is not None:
        conclusion = no_verdict(f"the expert of '{tree.nodes[unfit].name}'", modules.modules[unfit], conclusion)
    result.conclude(conclusion)
    return result


def _on_target(
    modules: TreeModules,
    nodes: Sequence[int],
    target: TargetImages,
    sizes: Sequence[int],
    config: Mapping[str, Any],
    store: Store,
    session: Session,
) -> tuple[TargetFindings, list[str]]:
    """The experts at ``nodes`` on images of the other look, and the digests of what was trained on them."""
    experts, digests = [], []
    for number, node in enumerate(nodes):
        images, source, name = target.below(modules.tree, node), modules.modules[node], modules.tree.nodes[node].name
        networks = trained_further(name, source, images, sizes, config, store, session)
        digests += [network.digest for network in networks.values()]
        seed = config["seed"] + 1000 * (number + 1)  # another expert has other images, and other resamples
        experts.append(expert_findings(name, source, images, networks, resamples=config["resamples"], seed=seed))
    return target_findings(experts, sizes, config["seed"]), digests


def _chosen(tree: Tree, wanted: int | None) -> list[int]:
    """The first ``wanted`` experts of the tree, or all."""
    experts = [node for node in range(len(tree.nodes)) if tree.is_expert(node)]
    if wanted is not None and (type(wanted) is not int or not 1 <= wanted <= len(experts)):
        raise UserError(f"experts={wanted}: the tree has {len(experts)}; take 1 to {len(experts)}, or null for all")
    return experts[:wanted]


def _source_tree(config: Mapping[str, Any], data: ImageData, store: Store, session: Session) -> Tree:
    def confusions() -> Tensor:
        network = trained(
            config["router"], store, session, role="all classes", where="router", config=config, data=data
        )
        return confusion(network, "validation")

    return tree_of(config["tree"], data, confusions)

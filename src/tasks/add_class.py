"""``task=add_class``: a class joins, leaves, or an expert is replaced, without training the rest again.

What modularity promises for networks that have to change (L. Friedrichsen, "Impact of modularization on learning
behavior and detection rate of CNNs", 2020, names it as a motive and does not measure it): the cost of the change, and
what it does to all other classes, against a monolith of matched size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.artifacts.changed_networks import OTHER, Changed, without_outputs
from src.artifacts.network import Trained
from src.artifacts.trained import did_not_train
from src.artifacts.tree_modules import node_images
from src.core.result import Result
from src.core.store import Store
from src.data.fewer_images import of_classes
from src.studies.class_change.panels import Words, add_change
from src.studies.class_change.setting import Setting, replacement_of, setting_of

if TYPE_CHECKING:
    from src.report.session import Session

MODULES, MONOLITH = "modules, before", "monolith, before"


def add_class(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Change modules and monolith, and measure what the change costs and what it does to the other classes."""
    result = Result("add_class", config["name"])
    setting = setting_of(config, store, session)
    change = config["change"]
    made = {"add": _added, "remove": _removed, "replace": _replaced}[change]
    networks, monoliths = made(setting)
    result.uses = list(dict.fromkeys(digest for network in networks for digest in network.subject.lineage))
    with session.stage("test"):
        add_change(result, networks, setting.data, _changed(setting), _words(setting), config)
    result.row = {"data": setting.data.source["name"], "change": change, "class": config["class_name"]}
    result.screen = ["networks", "cost"]
    for name, network in monoliths.items():
        if not network.converged:
            result.verdict, result.verdict_kind = did_not_train(f"the {name}", network), "no verdict"
            break
    return result


def _added(setting: Setting) -> tuple[list[Changed], dict[str, Trained]]:
    expert = setting.tree.nodes[setting.node].name
    old = setting.modules(setting.fewer, setting.fewer_data)
    whole = setting.whole(MONOLITH, setting.fewer_data)
    warm, anew = setting.module(expert, start=old[expert]), setting.module(expert)
    found = [
        Changed(MODULES, MODULES, setting.composed(old, fewer=True)),
        _modules(setting, "expert warm-started", old, {expert: warm}, warm=True),
        _modules(setting, "expert anew", old, {expert: anew}),
    ]
    if setting.routers:
        warmer = {name: setting.module(name, start=old[name]) for name in setting.routers}
        newer = {name: setting.module(name) for name in setting.routers}
        found += [
            _modules(setting, "expert and router warm-started", old, {expert: warm, **warmer}, warm=True),
            _modules(setting, "expert and router anew", old, {expert: anew, **newer}),
        ]
    again = setting.whole("monolith, anew", setting.data)
    below = of_classes(setting.data, setting.tree.leaves_of(setting.node))
    found += [
        Changed(MONOLITH, MONOLITH, setting.seen(whole)),
        _monolith(setting, setting.whole("monolith, warm-started", setting.data, whole), "warm-started", whole),
        _monolith(setting, setting.whole(f"monolith, on {expert} alone", below, whole), f"on {expert} alone", whole),
        _monolith(setting, again, "anew"),
    ]
    return found, {MONOLITH: whole, "monolith, anew": again}


def _removed(setting: Setting) -> tuple[list[Changed], dict[str, Trained]]:
    expert = setting.tree.nodes[setting.node].name
    old, whole = setting.modules(setting.tree, setting.data), setting.whole(MONOLITH, setting.data)
    images = node_images(setting.config, setting.fewer, setting.fewer.node(expert), setting.fewer_data)
    dropped = without_outputs(old[expert], images)
    anew = setting.module(expert, fewer=True)
    found = [
        Changed(MODULES, MODULES, setting.composed(old)),
        Changed(
            "modules, output dropped",
            MODULES,
            setting.composed({**old, expert: dropped}, fewer=True),
            origins=tuple(old.values()),
        ),
        _modules(setting, "expert anew", old, {expert: anew}, fewer=True),
    ]
    if setting.routers:
        newer = {name: setting.module(name, fewer=True) for name in setting.routers}
        found.append(_modules(setting, "expert and router anew", old, {expert: anew, **newer}, fewer=True))
    again = setting.whole("monolith, anew", setting.fewer_data)
    found += [
        Changed(MONOLITH, MONOLITH, setting.seen(whole)),
        Changed(
            "monolith, output dropped",
            MONOLITH,
            setting.seen(without_outputs(whole, setting.fewer_data)),
            origins=(whole,),
        ),
        _monolith(setting, again, "anew"),
    ]
    return found, {MONOLITH: whole, "monolith, anew": again}


def _replaced(setting: Setting) -> tuple[list[Changed], dict[str, Trained]]:
    expert = setting.tree.nodes[setting.node].name
    old, whole = setting.modules(setting.tree, setting.data), setting.whole(MONOLITH, setting.data)
    other = setting.module(expert, changes=replacement_of(setting.config))
    again = setting.whole("monolith, another seed", setting.data, seed=setting.monolith["seed"] + OTHER)
    found = [
        Changed(MODULES, MODULES, setting.composed(old)),
        _modules(setting, "expert replaced", old, {expert: other}),
        Changed(MONOLITH, MONOLITH, setting.seen(whole)),
        _monolith(setting, again, "another seed"),
    ]
    return found, {MONOLITH: whole, "monolith, another seed": again}


def _modules(
    setting: Setting,
    name: str,
    old: Mapping[str, Trained],
    new: Mapping[str, Trained],
    *,
    fewer: bool = False,
    warm: bool = False,
) -> Changed:
    """``warm``: the new ones began with the weights of the old ones of equal name."""
    subject = setting.composed({**old, **new}, fewer=fewer)
    origins = tuple(module for node, module in old.items() if warm or node not in new)
    return Changed(f"modules, {name}", MODULES, subject, tuple(new.values()), origins)


def _monolith(setting: Setting, network: Trained, name: str, *origins: Trained) -> Changed:
    return Changed(f"monolith, {name}", MONOLITH, setting.seen(network), (network,), origins)


def _changed(setting: Setting) -> Tensor:
    """Bool (N,): the classes that the change is about."""
    found = torch.zeros(len(setting.data.classes), dtype=torch.bool)
    replaced = setting.config["change"] == "replace"
    found[
        list(setting.tree.leaves_of(setting.node)) if replaced else [setting.tree.label(setting.config["class_name"])]
    ] = True
    return found


def _words(setting: Setting) -> Words:
    expert, change = setting.tree.nodes[setting.node].name, setting.config["change"]
    updated = {
        "add": "expert and router warm-started" if setting.routers else "expert warm-started",
        "remove": "output dropped",
        "replace": "expert replaced",
    }[change]
    rivals = {
        "add": (f"on {expert} alone", "warm-started"),
        "remove": ("output dropped",),
        "replace": ("another seed",),
    }[change]
    return Words(
        change=change,
        subject=f"the expert of '{expert}'" if change == "replace" else f"class '{setting.config['class_name']}'",
        near=tuple(setting.tree.leaves_of(setting.node)),
        near_name=expert,
        modules=f"modules, {updated}",
        monoliths=tuple(f"monolith, {rival}" for rival in rivals),
        retrained="monolith, another seed" if change == "replace" else "monolith, anew",
    )

"""A class joins, leaves, or an expert is replaced: the networks before and after, of modules and as monoliths."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from src.artifacts.changed_networks import OTHER, Changed, without_outputs
from src.artifacts.network import Trained
from src.artifacts.tree_modules import node_images
from src.data.relabelled import of_classes
from src.studies.class_change.setting import Setting, replacement_of

#: What a network stands for: the changed modules that the verdict is about; the changed monolith that they are compared
#: with, which learned a new class from the images below its superclass alone; the one that learned it from the images
#: of all classes; and the monolith trained again, whose cost is the measure.
Role = Literal["modules", "monolith", "all_images_monolith", "retrained"]


@dataclass(frozen=True)
class ChangedNetworks:
    """All networks of a change, in the order of the tables.

    Attributes:
        roles: those that the verdict speaks of; one network may play two.
        monoliths: by what they are called: those whose training is shown.
    """

    networks: Sequence[Changed]
    roles: Mapping[Role, Changed]
    monoliths: Mapping[str, Trained]

    @property
    def trained(self) -> Iterator[tuple[str, Trained]]:
        """All that was trained, now or before, by what it is called in a sentence; some more than once."""
        yield from ((f"the {name}", network) for name, network in self.monoliths.items())
        for changed in self.networks:
            for network in (*changed.origins, *changed.updates):
                yield f"a part of '{changed.name}'", network


def changed_networks(setting: Setting) -> ChangedNetworks:
    """The networks before and after the change, from the store or trained now."""
    return {"add": _added, "remove": _removed, "replace": _replaced}[setting.options.change](setting)


def _added(setting: Setting) -> ChangedNetworks:
    expert = setting.expert
    old = setting.modules(setting.fewer, setting.fewer_data)
    whole = setting.whole("monolith, before", setting.fewer_data)
    warm, anew = setting.module(expert, start=old[expert]), setting.module(expert)
    before = Changed("modules, before", setting.composed(old, fewer=True))
    updated = _modules(setting, before, "expert warm-started", old, {expert: warm}, warm=True)
    modules = [updated, _modules(setting, before, "expert anew", old, {expert: anew})]
    if setting.routers:
        warmer = {name: setting.module(name, start=old[name]) for name in setting.routers}
        newer = {name: setting.module(name) for name in setting.routers}
        updated = _modules(
            setting, before, "expert and router warm-started", old, {expert: warm, **warmer}, warm=True
        )  # fmt: skip
        modules += [updated, _modules(setting, before, "expert and router anew", old, {expert: anew, **newer})]
    again = setting.whole("monolith, anew", setting.data)
    below = of_classes(setting.data, setting.tree.leaves_of(setting.node))
    warm_whole = setting.whole("monolith, warm-started", setting.data, whole)
    warm_below = setting.whole(f"monolith, on {expert} alone", below, whole)
    monolith = Changed("monolith, before", setting.seen(whole))
    on_all = _monolith(setting, monolith, "warm-started", warm_whole, whole)
    on_below = _monolith(setting, monolith, f"on {expert} alone", warm_below, whole)
    retrained = _monolith(setting, monolith, "anew", again)
    return ChangedNetworks(
        [before, *modules, monolith, on_all, on_below, retrained],
        {"modules": updated, "monolith": on_below, "all_images_monolith": on_all, "retrained": retrained},
        {monolith.name: whole, retrained.name: again},
    )


def _removed(setting: Setting) -> ChangedNetworks:
    expert = setting.expert
    old, whole = setting.modules(setting.tree, setting.data), setting.whole("monolith, before", setting.data)
    images = node_images(setting.options, setting.fewer, setting.fewer.node(expert), setting.fewer_data)
    dropped = {**old, expert: without_outputs(old[expert], images)}
    anew = setting.module(expert, fewer=True)
    before = Changed("modules, before", setting.composed(old))
    updated = Changed(
        "modules, output dropped", setting.composed(dropped, fewer=True), before, origins=tuple(old.values())
    )
    modules = [updated, _modules(setting, before, "expert anew", old, {expert: anew}, fewer=True)]
    if setting.routers:
        newer = {name: setting.module(name, fewer=True) for name in setting.routers}
        modules.append(
            _modules(setting, before, "expert and router anew", old, {expert: anew, **newer}, fewer=True)
        )  # fmt: skip
    again = setting.whole("monolith, anew", setting.fewer_data)
    monolith = Changed("monolith, before", setting.seen(whole))
    without = setting.seen(without_outputs(whole, setting.fewer_data))
    rival = Changed("monolith, output dropped", without, monolith, origins=(whole,))
    retrained = _monolith(setting, monolith, "anew", again)
    return ChangedNetworks(
        [before, *modules, monolith, rival, retrained],
        {"modules": updated, "monolith": rival, "retrained": retrained},
        {monolith.name: whole, retrained.name: again},
    )


def _replaced(setting: Setting) -> ChangedNetworks:
    expert = setting.expert
    old, whole = setting.modules(setting.tree, setting.data), setting.whole("monolith, before", setting.data)
    replacement = setting.module(expert, changes=replacement_of(setting.options))
    again = setting.whole("monolith, another seed", setting.data, seed=setting.monolith["seed"] + OTHER)
    before = Changed("modules, before", setting.composed(old))
    updated = _modules(setting, before, "expert replaced", old, {expert: replacement})
    monolith = Changed("monolith, before", setting.seen(whole))
    retrained = _monolith(setting, monolith, "another seed", again)
    return ChangedNetworks(
        [before, updated, monolith, retrained],
        {"modules": updated, "monolith": retrained, "retrained": retrained},
        {monolith.name: whole, retrained.name: again},
    )


def _modules(
    setting: Setting,
    before: Changed,
    change: str,
    old: Mapping[str, Trained],
    new: Mapping[str, Trained],
    *,
    fewer: bool = False,
    warm: bool = False,
) -> Changed:
    """``warm``: the new ones began with the weights of the old ones of equal name."""
    subject = setting.composed({**old, **new}, fewer=fewer)
    origins = tuple(module for node, module in old.items() if warm or node not in new)
    return Changed(f"modules, {change}", subject, before, tuple(new.values()), origins)


def _monolith(setting: Setting, before: Changed, change: str, network: Trained, *origins: Trained) -> Changed:
    return Changed(f"monolith, {change}", setting.seen(network), before, (network,), origins)

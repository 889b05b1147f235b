"""A user's callbacks from the configuration: checked, made anew for each training, and part of what is trained.

A callback can change the weights, so sections and source belong to the identity of the job and of its networks.
"""

import importlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from src.artifacts.artifacts import Callbacks
from src.core.code import PREFIX, fault, own_callbacks, target_name
from src.core.errors import UserError

if TYPE_CHECKING:
    from pytorch_lightning.callbacks import Callback

TARGET = "_target_"


def callbacks_in(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The section ``callbacks``: name -> class and arguments. One that is null is left out.

    Raises:
        UserError: a section names no class.
    """
    section = config.get("callbacks") or {}
    if not isinstance(section, Mapping):
        raise UserError(f"callbacks={section}: allowed are sections with {TARGET}: module.Class", "callbacks")
    for name, value in section.items():
        target = value.get(TARGET) if isinstance(value, Mapping) else None
        if value is not None and (not isinstance(target, str) or "." not in target):
            said = f"callbacks.{name}={value}: names no class; write {TARGET}: module.Class, and its arguments"
            raise UserError(said, f"callbacks.{name}")
    return {str(name): dict(value) for name, value in section.items() if value is not None}


def check_callbacks(config: Mapping[str, Any], here: bool) -> None:
    """Refuse what cannot be made.

    Args:
        here: this process will run the job; else sources are read and nothing is imported.

    Raises:
        UserError: there is no such class, its arguments are wrong, or it is no callback of Lightning.
    """
    sections = callbacks_in(config)
    for name, section in sections.items():
        if reason := fault(target_name(section[TARGET])):
            raise UserError(f"callbacks.{name}.{TARGET}={section[TARGET]}: {reason}", f"callbacks.{name}")
    if here and sections:
        _made(sections)


def callbacks_of(config: Mapping[str, Any]) -> Callbacks:
    """What every training of a job is given beside its recipe."""
    sections = callbacks_in(config)
    if not sections:
        return Callbacks()
    code = own_callbacks(sections)
    return Callbacks({"callbacks": sections, **({"callbacks_code": code} if code else {})}, partial(_made, sections))


def _made(sections: Mapping[str, Mapping[str, Any]]) -> list["Callback"]:
    from hydra.utils import instantiate
    from pytorch_lightning.callbacks import Callback

    callbacks = []
    for name, section in sections.items():
        said = f"callbacks.{name}.{TARGET}={section[TARGET]}"
        try:
            importlib.import_module(target_name(section[TARGET]).removeprefix(PREFIX).partition(":")[0])
            made = instantiate(dict(section))
        except Exception as error:
            cause = error.__cause__ or error
            reason = " ".join(str(cause).split())[:200]
            raise UserError(f"{said}: cannot be made ({type(cause).__name__}: {reason}); mend it", said) from None
        if not isinstance(made, Callback):
            kind = type(made).__name__
            raise UserError(f"{said}: gives a {kind}; a callback is a subclass of pytorch_lightning.Callback", said)
        callbacks.append(made)
    return callbacks

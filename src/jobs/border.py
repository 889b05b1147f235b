"""The border between Hydra and the rest: what it composed becomes plain containers, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.core.allowed_values import check_values
from src.core.configuration import first_line, shrink
from src.core.errors import UserError
from src.core.options import options_of
from src.studies.protocol import options_class


def plain(config: DictConfig) -> dict[str, Any]:
    """The job's part of a composed configuration as plain containers, all interpolations resolved.

    Raises:
        UserError: a mandatory value is missing, an interpolation leads nowhere, or a value is not allowed.
    """
    try:
        # `hydra` resolves only inside a job, and is no part of what a job is made of
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        found = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", "") or ""
        raise UserError(f"{key}: {first_line(error)}; set {key}=..." if key else first_line(error)) from None
    assert isinstance(found, dict)
    whole = {str(key): value for key, value in found.items()}
    check_values(whole)
    if isinstance(whole.get("study"), Mapping):
        _check_study(whole["study"])
    rules = whole.pop("shrink", None)
    if rules:
        shrink(whole, rules)
        whole["tiny"] = True  # its numbers mean nothing, and no page may take them for any
    return whole


def _check_study(section: Mapping[str, Any]) -> None:
    name = str(section.get("name"))
    try:
        options = options_class(name)
    except ModuleNotFoundError as error:
        if not str(error.name).endswith(f".{name}.options"):
            raise
        return  # a study that is not yet on the protocol checks its options itself
    options_of(options, {key: value for key, value in section.items() if key != "name"}, "study")

"""The border between Hydra and the rest: what it composed becomes plain containers, checked once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.core import own
from src.core.allowed_values import check_values
from src.core.code import own_code
from src.core.configuration import first_line, shrink
from src.core.contents import contents
from src.core.errors import UserError


def plain(config: DictConfig) -> dict[str, Any]:
    """The job's part of a composed configuration as plain containers, all interpolations resolved.

    Raises:
        UserError: a mandatory value is missing, an interpolation leads nowhere, or a value is not allowed.
    """
    try:
        # `hydra` resolves only inside a job, and is no part of what a job is made of
        job = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        found = OmegaConf.to_container(job, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", "") or ""
        raise UserError(f"{key}: {first_line(error)}; set {key}=..." if key else first_line(error)) from None
    assert isinstance(found, dict)
    whole = {str(key): value for key, value in found.items()}
    own.use(whole.get("own"))
    check_values(whole)
    rules = whole.pop("shrink", None)
    if rules:
        shrink(whole, rules)
        whole["tiny"] = True  # its numbers mean nothing, and no page may take them for any
    digests = {
        "contents": contents(whole, Path(str(whole.get("outputs")), "store", "contents")),
        "code": own_code(whole),
    }
    return whole | {name: found for name, found in digests.items() if found}

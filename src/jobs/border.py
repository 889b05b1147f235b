"""The border between Hydra and the rest: what it composed becomes plain containers, checked once.

What passes is declared: the options of the task (src/tasks/options.py) decide what the job finds, :class:`Running` does
not; a key that neither knows was there for interpolations alone and ends here.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Predicate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.core import own
from src.core.code import own_callbacks, own_code
from src.core.configuration import LEFT_OUT, first_line, hidden, shrink
from src.core.contents import contents
from src.core.errors import UserError, close_to
from src.core.files import read_json
from src.core.options import Count, Seed, Whole, Words, check_value, options_of
from src.core.paths import DESCRIPTION
from src.core.running import Running
from src.data.class_names import NAMES
from src.jobs.callbacks import callbacks_in
from src.networks.options import NETWORKS, PREFIXES, model_options
from src.tasks.options import keys_of, task_options
from src.tasks.versions import ANCESTORS

#: Last parts of keys within recipes, data and trees, which are checked by what they name when that is there; of these
#: a wrong kind of value would be noticed too late, or never.
OPEN: dict[str, Any] = {
    "epochs": Count,
    "batch_size": Count,
    "eval_batch_size": Count,
    "crop_padding": Whole,
    "groups": Annotated[Annotated[int, Ge(2)] | None, Words("null, or a whole number from 2")],
    "seed": Seed,
    "data_seed": Seed,
    "size": Annotated[Count | Literal["auto"] | None, Words("a whole number of pixels, or null")],
    "classes": Annotated[list[Any] | None, Words("null, or a list of classes")],
}


def _is_part(size: Any) -> bool:
    return isinstance(size, int | float) and size >= 0 and (size < 1 or size == int(size))


#: How much of a pool is held out.
PART = Annotated[float, Predicate(_is_part), Words("a share from 0 to below 1, or a whole number of images per class")]
SPLITS: dict[str, Any] = {
    "validation": Annotated[
        Literal["test"] | PART, Words("a share from 0 to below 1, a whole number of images per class, or test")
    ],
    "calibration": PART,
    "drop_seen": bool,
}


def plain(config: DictConfig) -> dict[str, Any]:
    """The job's part of a composed configuration as :func:`checked` gives it, and digests of what it names.

    ``contents`` and ``code`` are those of the files and of the user's own code, ``hidden`` of the environment's values.

    Raises:
        UserError: a mandatory value is missing, an interpolation leads nowhere, or a value is not allowed.
    """
    return with_digests(checked(config))


def checked(config: DictConfig) -> dict[str, Any]:
    """The job's part of a composed configuration as plain containers, all interpolations resolved, and all allowed.

    Beside what is declared it has ``task``, and ``tiny`` where ``debug=tiny`` shrank it.

    Raises:
        UserError: as :func:`plain`.
    """
    try:
        # `hydra` resolves only inside a job, and is no part of what a job is made of
        whole = {str(key): _present(_resolved(config[key])) for key in config if key != "hydra"}
    except OmegaConfBaseException as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__context__
        if cause is not None:  # raised by a resolver of ours
            raise cause from None
        key = error.full_key or ""
        raise UserError(f"{key}: {first_line(error)}; set {key}=..." if key else first_line(error), key) from None
    own.use(whole.get("own"))
    rules = whole.pop("shrink", None)
    callbacks = callbacks_in({"callbacks": whole.pop("callbacks", None)})
    check_open(whole)
    if rules:
        subject = {"subject": whole.pop("subject")} if "subject" in whole else {}
        shrink(whole, rules)
        whole |= subject  # a network that comes trained is as large as it is
    running = running_of(whole)
    declared = keys_of(Running, *map(type, task_options(whole)))
    whole = {"task": whole["task"]} | {key: whole[key] for key in declared if key in whole}
    if callbacks:  # without any, identities are those from before there were any
        whole["callbacks"] = callbacks
    _check_stage(whole["task"], running.until)
    _check_targets(whole)
    _check_models(whole)
    _check_epochs(whole)
    if rules:
        whole["tiny"] = True  # its numbers mean nothing, and no page may take them for any
    return whole


def with_digests(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with digests of the files and of the user's own code that it names, and of what results do not show."""
    memory, looked_at = Path(values["outputs"], "store", "contents"), values.get("sweep", {}).get("dry_run")
    try:
        digests = {"contents": contents(values, memory, write=not looked_at), "code": _code(values)}
        digests["hidden"] = hidden({**values, **digests})
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}); check the paths of the data") from None
    return {**values, **{name: known for name, known in digests.items() if known}}


def _check_stage(task: str, until: str | None) -> None:
    stages = tuple(ANCESTORS.get(task, ()))
    if until not in (None, *stages):
        known = ", ".join(stages) or "none"
        raise UserError(f"until={until}: task={task} has no such stage (it has: {known}); set until=null", "until")


def _check_targets(values: Mapping[str, Any]) -> None:
    """Refuse a target class that the strong network's own list of classes rules out."""
    data = values.get("strong", {}).get("data", {})
    classes = data.get("classes") or []
    names = dict(enumerate(NAMES.get(str(data.get("source", {}).get("name")), ())))
    given = values.get("target_class", [])
    for item in given if isinstance(given, list) else [given]:
        if item not in classes and any(type(other) is type(item) for other in classes):
            listed = ", ".join(f"{name} {names[name]}" if name in names else str(name) for name in classes)
            message = f"target_class={given}: the strong network has no class {item}; its classes: {listed}"
            raise UserError(message, "target_class")


def _check_models(values: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse a network of ours that does not exist, and options that it does not have."""
    for name, section in values.items():
        if not isinstance(section, Mapping):
            continue
        if name != "model" or not {"optim", "kind"} & values.keys():  # a recipe's or a subject's: others change a part
            _check_models(section, f"{prefix}{name}.")
            continue
        given = {key: value for key, value in section.items() if key != "name"}
        if "name" not in section:
            near = close_to("name", given)
            reason = f"{near} is not a setting; did you mean 'name'?" if near else "name: missing; give a network's"
            raise UserError(f"{prefix}model.{reason}", f"{prefix}model.{near}" if near else f"{prefix}model")
        network = str(section["name"])
        known = {field.name for field in fields(NETWORKS[network])} if network in NETWORKS else set()
        try:
            if not network.startswith(PREFIXES):
                model_options(network, given)
        except UserError as error:
            unknown = next((key for key in given if key not in known), "") if known else "name"
            raise UserError(f"{prefix}{error}", f"{prefix}{error.key or f'model.{unknown}'}") from None


def _check_epochs(values: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse the number of an epoch that a recipe does not train for, or whose weights it does not keep."""
    for name, section in values.items():
        if not isinstance(section, Mapping):
            continue
        key, training, epoch = f"{prefix}{name}", section.get("training"), section.get("select")
        if not isinstance(training, Mapping) or type(epoch) is not int:
            _check_epochs(section, f"{key}.")
            continue
        epochs, every = training.get("epochs"), training.get("keep_every")
        if isinstance(epochs, int) and not 0 <= epoch < epochs:
            longer = f", or set {key}.training.epochs={epoch + 1}" if epoch > 0 else ""
            message = f"{key}.select={epoch}: allowed is 0 to {epochs - 1}{longer}"
            raise UserError(message, f"{key}.select")
        if not every or (isinstance(every, int) and (epoch + 1) % every):
            message = f"{key}.select={epoch}: the weights of this epoch are not kept; set {key}.training.keep_every=1"
            raise UserError(message, f"{key}.select")


def _resolved(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True, throw_on_missing=True) if OmegaConf.is_config(value) else value


def _present(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _present(item) for key, item in value.items() if item != LEFT_OUT}


def _code(config: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the user's own code, also of that which builds a network from a file."""
    digests, subject = own_code(config), config.get("subject", {})
    digests |= {f"callbacks.{name}": digest for name, digest in own_callbacks(config.get("callbacks", {})).items()}
    if subject.get("kind") == "checkpoint":
        description = Path(str(subject.get("path"))).expanduser().with_name(DESCRIPTION)
        with suppress(OSError, ValueError, AttributeError, RecursionError):  # told when it is read
            digests |= own_code(read_json(description).get("architecture") or {}, "subject.")
    return digests


def running_of(config: Mapping[str, Any]) -> Running:
    """Where and how a job runs.

    Raises:
        UserError: a value is not allowed.
    """
    return options_of(Running, {key: config[key] for key in keys_of(Running) if key in config})


def check_open(config: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse values of OPEN keys of another kind, wherever they stand.

    Raises:
        UserError: the first one.
    """
    for name, value in config.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            if name == "splits":
                for part in [part for part in SPLITS if part in value]:
                    check_value(SPLITS[part], value[part], f"{key}.{part}")
            elif name not in ("model", "subject"):  # whose options are their own
                check_open(value, f"{key}.")
        elif name in OPEN and not (value is None and key == "replacement.seed"):  # null: one of its own
            check_value(OPEN[name], value, key)

"""What the command line can be asked: which experiments there are, which keys matter for one, how a line goes on."""

import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.configuration import first_comment
from src.core.errors import UserError
from src.core.own import groups, use
from src.core.paths import CONF, ROOT

if TYPE_CHECKING:
    from src.jobs.command_line import CommandLine

USAGE = """\
cnn-anatomy: take convolutional networks apart, reuse the parts, measure what they respond to

  python -m src.run experiment=NAME [key=value ...]        one job
  python -m src.run -m experiment=NAME key=a,b,c           a sweep; hydra/launcher=cores uses all cores
  python -m src.run experiment=NAME debug=tiny             the same in seconds, to see that it runs
  python -m src.run experiment=NAME --help                 the keys that matter for it
  python -m src.run experiment=NAME --cfg job              every key and its value
  eval "$(python -m src.run --completion bash)"            the tab key completes both in this shell
"""

COMPLETION = """\
_cnn_anatomy() {
    local line="${COMP_LINE:0:COMP_POINT}" said
    local word="${line##* }"
    local ask=("${COMP_WORDS[0]}")
    [[ "$ask" == *uv ]] && ask+=(run python)
    case "$line" in
        *" -m src.run "*) said="${line#* -m src.run}" ;;
        *"src/run.py "*) said="${line#*src/run.py}" ;;
        *) [[ "$ask" == *uv ]] && declare -F _uv > /dev/null && _uv "$@"; return ;;  # uv completes itself
    esac
    said="$(COMP_LINE="python src/run.py$said" "${ask[@]}" -m src.run -sc query=bash 2> /dev/null)"
    COMPREPLY=($(compgen -W "$said" -- "$word"))
    if [[ "$word" == *=* && "$COMP_WORDBREAKS" == *=* ]]; then  # bash completes what is behind the =
        COMPREPLY=("${COMPREPLY[@]#"${word%=*}="}")
    fi
}
complete -o nospace -o default -F _cnn_anatomy python python3 uv
"""

#: Flags that say how jobs run, which Hydra refuses beside those that ask for something.
MODES = ("-m", "--multirun", "-r", "--run")
MOST = 12  # keys that are shown of an experiment
#: Groups and keys that are the same for every experiment, or that only a sweep looks at.
GENERAL = ("experiment", "task", "local", "debug", "logger", "report", "name", "label", "comparison", "hydra")


def overview() -> str:
    """Experiments and tasks with the first comment line of their files."""
    lines = [USAGE]
    for group, title in (("experiment", "experiments (experiment=...)"), ("task", "tasks (task=...)")):
        lines.append(title)
        for path in sorted((CONF / group).glob("*.yaml")):
            lines.append(f"  {f'{path.stem} ':<25}{first_comment(path)}")
        lines.append("")
    return "\n".join(lines)


def completion(shell: str = "bash") -> str:
    """The script by which a shell completes ``python -m src.run`` and ``python src/run.py``."""
    if shell != "bash":
        raise UserError(f"--completion {shell}: there is one for bash; in zsh, run bashcompinit first and take that")
    return COMPLETION


def version() -> str:
    """Of the project, and of what its jobs run on."""
    import tomllib
    from importlib.metadata import version as installed

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    libraries = ", ".join(f"{name} {installed(name)}" for name in ("torch", "pytorch-lightning", "hydra-core"))
    return f"{project['name']} {project['version']} ({libraries})"


def show(text: str) -> int:
    """Print what was asked for. A reader who has seen enough (``| head``) ends us as he ends other programs."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    print(text)
    return 0


def hydra_says(argv: Sequence[str]) -> int:
    """Leave it to Hydra: ``--cfg``, ``--info``, ``--hydra-help``, and the completion of a line."""
    import hydra

    from src.jobs.composing import VERSION_BASE

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as in `show`
    sys.argv[1:] = [line for line in argv if line not in MODES]  # Hydra reads them there, and shows one job
    hydra.main(config_path=str(CONF), config_name="config", **VERSION_BASE)(print)()
    return 0


def keys_of_interest(line: "CommandLine") -> str:
    """The keys of an experiment and its task with their values, comments, and what is allowed; then the groups."""
    from omegaconf import DictConfig, OmegaConf

    from src.core.options import allowed, types_of
    from src.core.running import Running
    from src.studies.protocol import options_class
    from src.tasks.options import TASKS

    config = line.composed
    use(config.get("own"))
    choices = {str(key): str(value) for key, value in config.hydra.runtime.choices.items()}
    kinds = [kind for kind in (TASKS.get(str(config.get("task"))), Running) if kind]
    types = dict(row for kind in kinds for row in types_of(kind))
    files = [path for key in ("experiment", "task") if (path := _file(key, choices))]
    lines = [f"{files[0].stem}: {first_comment(files[0])}" if files else "name an experiment or a task", ""]
    rows = dict(row for path in _with_parents(files) for row in _commented(path))
    if study := _file("study", choices):
        types |= types_of(options_class(study.stem), "study.")
        rows |= {f"study.{key}": comment for key, comment in _commented(study) if key != "name"}
    if subject := _file("subject", choices):
        rows |= {
            key: comment for key, comment in _commented(subject) if key.startswith("subject.") and key != "subject.kind"
        }
    rows = {key: comment for key, comment in rows.items() if key.partition(".")[0] not in GENERAL}
    keys = [key for key in rows if not isinstance(OmegaConf.select(config, key), DictConfig)]
    for key in [*keys[: MOST - 1], "seed"]:
        value, comment = OmegaConf.select(config, key), rows.get(key, "of training and search")
        value = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        words = allowed(types[key]) if key in types else ""
        said = all(word in comment for word in words.split(", "))  # the comment names them often
        if not said and words not in ("a word", "true, false"):
            comment = f"{comment} ({words})" if comment else words
        lines.append(f"  {_typed(key, value):<34}  {comment}")
    parts = {key: name for key, name in choices.items() if "/" not in key and key not in GENERAL and name != "None"}
    lines += ["", "parts (any file of conf/GROUP, before the @; python -m src.run --completion bash helps)"]
    lines += [f"  {key}={name}" for key, name in parts.items() if key.count(".") <= 1]
    swept = OmegaConf.select(config, "hydra.sweeper.params") or {}
    if line.multirun and swept:
        lines += ["", f"a sweep by itself, over {', '.join(map(str, swept))}"]
    return "\n".join([*lines, "", "every key: --cfg job; in seconds: debug=tiny; all experiments: --help alone"])


def _file(group: str, choices: Mapping[str, str]) -> Path | None:
    """The file that is chosen of a group, the project's or the user's own."""
    paths = [folder / group / f"{choices.get(group)}.yaml" for folder in groups()]
    return next((path for path in paths if path.is_file()), None)


def _with_parents(files: list[Path]) -> Iterator[Path]:
    """The files, and those of the same group that they are made of, the nearest first."""
    import yaml

    for path in files:
        yield path
        defaults = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("defaults", [])
        near = [path.with_name(f"{name}.yaml") for name in defaults if isinstance(name, str)]
        yield from _with_parents([parent for parent in near if parent.is_file()])


def _commented(path: Path) -> Iterator[tuple[str, str]]:
    """Dotted key and comment of every value that a file sets."""
    import yaml

    text = path.read_text(encoding="utf-8")
    rows, above = text.splitlines(), ""

    def walk(node: Any, prefix: str) -> Iterator[tuple[str, str]]:
        for key, value in node.value:
            row = rows[value.start_mark.line]
            comment = row.partition(" #")[2].strip()
            name = f"{prefix}{key.value}"
            if isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
                yield from walk(value, f"{name}.")
            elif name != "defaults":
                yield name, comment

    root = yaml.compose(text, yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        yield from walk(root, above)


def _typed(key: str, value: Any) -> str:
    """A key with its value as a command line has them, in the shell's quotes where these are needed."""
    line = f"{key}={_inner(value)}"
    return f'"{line}"' if set(line) & set("'[] *$") else line


def _inner(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(_inner, value))}]"
    return (
        f"'{value}'"
        if isinstance(value, str) and not re.fullmatch(r"[\w./:@-]*[A-Za-z_][\w./:@-]*", value)
        else str(value)
    )

"""Runs of Weights & Biases of what several jobs share, one per entry of the store; and who used and who made what.

A run of job type ``stage`` lies beside the store (``store/wandb``), has the digest of its entry as its id, and is made
once: while the entry is made, or later by the first job that uses it. A mark says for which view that was done.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from src.core.files import write_atomically
from src.core.redaction import redacted
from src.core.running import Logger
from src.core.store import Key, digest_of
from src.report import lineage
from src.report.lineage import Made, Product
from src.report.machine import machine
from src.report.wandb_run import WandbRun, attempt
from src.report.wandb_view import STAGE, choose_mode, start

PLACE = "wandb"  # below the store


def run_places(store: Path, digest: str) -> list[Path]:
    """All that is kept of an entry's runs: their folders and the marks."""
    return [*store.glob(f"{PLACE}/*run-*-{digest}"), *store.glob(f"{PLACE}/logged/{digest}-*")]


class Stages:
    """The stages of one job.

    Args:
        settings: the logger's. group: of the job's run.
        environment: of the job.
    """

    def __init__(self, settings: Logger, store: Path, group: str, environment: Mapping[str, Any]) -> None:
        self.settings = settings
        self.store = store
        self.group = group
        self.environment = environment
        self.mode = choose_mode(settings.mode)[0]
        self.events: list[str] = []
        self._key: Key | None = None
        self._run: WandbRun | None = None

    @contextmanager
    def making(self, key: Key, folder: Path) -> Iterator[None]:
        """While an entry is made in ``folder``, its curves go to a run of its own as well."""
        if self._key is not None or not self._asked():  # one within another is a part of that
            yield
            return
        self._key, whole = key, False
        try:
            yield
            whole = True
        finally:
            attempt("stage", lambda: self._end(folder if whole else None), self.events)
            self._key = None

    def log(self, values: Mapping[str, Any]) -> None:
        """Points of the curves of what is being made, with their ``step``; the first ones begin its run."""
        if self._key is None:
            return
        if self._run is None:
            self._run = self._begin(self._key.kind, self._key.digest(), redacted(self._key.recipe))
        self._run.log(_under(self._key.kind, values))

    def complete(self, digests: Sequence[str], by: WandbRun | None = None) -> set[str]:
        """See to it that some run says of each entry, and of all that it descends from, that it made it.

        Args:
            by: the run of a job that is itself the training; else those without a run get one of their own.

        Returns:
            The names of what is ``by``'s.
        """
        own: set[str] = set()
        for digest in lineage.with_ancestors(self.store, digests) if self.mode != "disabled" else ():
            with _alone(self._mark(digest)) as mark:
                self._complete(digest, mark, by if digest in digests else None, own)
        return own

    def _complete(self, digest: str, mark: Path, by: WandbRun | None, own: set[str]) -> None:
        said = mark.read_text(encoding="utf-8") if mark.exists() else ""
        run = by.run if by else None
        made = lineage.entry(self.store, digest) if not said or (run and said == run.id) else None
        if made is None or not made.rows:
            return
        if by is None:
            self._tell(made)
        elif run:
            self.link(by, used=made.used, made=[made.product])
            write_atomically(mark, run.id)
            own |= {made.product.name, *(each.name for each in made.used)}

    def link(self, run: WandbRun, *, used: Sequence[Product] = (), made: Sequence[Product] = ()) -> None:
        """Say in a run what it used and made, as far as ``logger.artifacts`` goes."""
        if self.settings.artifacts == "none" or run.run is None:
            return
        for product in used:
            run.link(self._artifact(product, run.mode), made=False)
        for product in made:
            run.link(self._artifact(product, run.mode), made=True)

    def _artifact(self, product: Product, mode: str) -> Any:
        """One entry that stands for the content, so that equal content is one version; or the files themselves."""
        import wandb

        artifact = wandb.Artifact(product.name, type=product.type, metadata=redacted(dict(product.metadata)))
        if self.settings.artifacts == "weights" and product.folder is not None:
            for path in sorted(product.folder.glob("[!.]*")):
                file = artifact.add_file(_near(path), name=path.name, policy="immutable", skip_cache=True)
                if mode == "offline":  # it is sent when the entry has its name
                    file.local_path = _near(product.place / path.name)
        else:
            artifact.add_reference(product.address, name=product.type, checksum=False)
        return artifact

    def _begin(self, kind: str, digest: str, recipe: Mapping[str, Any]) -> WandbRun:
        what = recipe["model"]["name"] if "model" in recipe else kind
        return start(
            self.store, project=self.settings.project, entity=self.settings.entity, mode=self.settings.mode,
            group=self.group, job_type=STAGE, run_id=digest, name=f"{what}-{digest[:8]}", tags=[kind, what],
            commit=str(self.environment.get("revision", "")).rstrip("+"),
            config={"kind": kind, "recipe": recipe, "environment": machine(self.environment)},
        )  # fmt: skip

    def _end(self, folder: Path | None) -> None:
        """Of what was made in ``folder``; None: of what failed."""
        run, self._run = self._run, None
        if run is not None:
            run.failed = folder is None
            self._close(run, lineage.made(folder, self.store) if folder else None)

    def _close(self, run: WandbRun, made: Made | None) -> None:
        if made is not None:
            self.link(run, used=made.used, made=[made.product])
        complete = run.run is not None
        self.events += [event for event in run.finish() if event not in self.events]
        if made is not None and complete:
            write_atomically(self._mark(made.product.digest), made.product.digest)

    def _tell(self, made: Made) -> None:
        """The run of an entry that was made when nobody told W&B."""
        if not self._asked():
            return
        kind = str(made.product.metadata["kind"])
        run = self._begin(kind, made.product.digest, made.recipe)
        for row in made.rows:
            run.log(_under(kind, row))
        self._close(run, made)

    def _asked(self) -> bool:
        """Whether there are such runs; the process of a W&B agent has one run alone, that of its sweep."""
        return self.mode != "disabled" and not os.environ.get("WANDB_SWEEP_ID")

    def _mark(self, digest: str) -> Path:
        view = digest_of([self.settings.entity, self.settings.project, self.settings.artifacts, self.mode])
        return self.store / PLACE / "logged" / f"{digest}-{view[:8]}"


@contextmanager
def _alone(mark: Path) -> Iterator[Path]:
    """The mark, while no other job looks at it or makes what it stands for; where a disk has no locks they may."""
    from filelock import FileLock

    with ExitStack() as held:
        if not mark.exists():
            mark.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):
                held.enter_context(FileLock(f"{mark}.lock"))
        yield mark


def _under(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the curves of an entry are called in its run."""
    course = "search" if kind == "modules" else "training"
    return {f"{course}/{name}": value for name, value in values.items()}


def _near(path: Path) -> str:
    """From where the job was started, where that is above: W&B writes it into the artifact."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

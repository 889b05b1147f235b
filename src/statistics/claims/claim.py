"""A claim as data: what is said, by whom, and what would count for or against it, written down before it is tested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from src.core.errors import UserError, suggestion
from src.statistics.claims.outcomes import DERIVED
from src.statistics.claims.terms import Conditions, Term

Direction = Literal["positive", "negative"]
Test = Literal["two_stage_bootstrap", "student_t"]


@dataclass(frozen=True)
class Contrast:
    """The slope over a term (``per``: what one step of it is called), a group of runs against another, or the mean.

    ``mean``: of a metric that is itself a difference, as that between two networks of one seed.
    """

    mean: bool = False
    slope: str = ""
    per: str = ""
    group: Conditions = field(default_factory=dict)
    against: Conditions = field(default_factory=dict)


@dataclass(frozen=True)
class Design:
    """What the data must hold for any verdict.

    Attributes:
        units: so many units at least that have ``seeds`` runs or more.
        span: column -> [low, high]; ``each_side`` units must lie at or below, and as many at or above (of a contrast
            of groups: ``each_side`` units in each).
        share_left: share of the contrast's variance that must be left beside the covariates (1 / its variance
            inflation); below it, the two cannot be told apart and the verdict is 'undecided'.
    """

    units: int
    seeds: int = 1
    each_side: int = 1
    span: Mapping[str, Sequence[float]] = field(default_factory=dict)
    share_left: float = 0.0


@dataclass(frozen=True)
class Gate:
    """The row that must have trained, and by what that is seen; how well it must is the caller's to say."""

    row: Conditions
    metric: str


@dataclass(frozen=True)
class Claim:
    """A published statement and the test that it has to stand.

    Attributes:
        id: the name of its file.
        statement, source: in a sentence; who said it and where.
        metric: a column of the jobs, or ``gap_at_equal_training_accuracy``.
        metric_unit: ``%`` for fractions (differences are then told in points), or any other word.
        contrast, direction: what is claimed to be positive or negative: the slope, or group minus against.
        margin: what the effect must exceed in that direction, in the metric's own unit (0.01 is one point).
        beside: covariates that are held equal, e.g. ``log macs``.
        where: which runs the claim is about: column -> value or [low, high], null for an open end.
        unit: column that names the unit of analysis; all rows of a unit are repeated measures of it.
        test: how interval and p are found: ``two_stage_bootstrap`` for slopes and groups, ``student_t`` over units
            for a mean, which may be over few.
        level: of the interval; 1 - level is the Holm-corrected p below which a claim is decided.
    """

    id: str
    statement: str
    source: str
    metric: str
    contrast: Contrast
    direction: Direction
    design: Design
    gate: Gate | None
    margin: float = 0.0
    metric_unit: str = "%"
    beside: Sequence[str] = ()
    where: Conditions = field(default_factory=dict)
    unit: str = "variant"
    test: Test = "two_stage_bootstrap"
    level: float = 0.95

    @property
    def sign(self) -> int:
        return 1 if self.direction == "positive" else -1

    @property
    def terms(self) -> list[Term]:
        """The covariates, behind the slope's own term where there is one."""
        return [Term.parse(text) for text in ([self.contrast.slope] if self.contrast.slope else []) + [*self.beside]]


T = TypeVar("T")


def claim_from(name: str, values: Mapping[str, Any]) -> Claim:
    """The claim that a YAML file holds.

    Raises:
        UserError: a key that does not exist or is missing, or a value that is not allowed.
    """
    where = f"claims.{name}"
    given = dict(values)
    for key, part in {"contrast": Contrast, "design": Design, "gate": Gate}.items():
        if given.get(key) is not None:
            given[key] = _settings(part, given[key], f"{where}.{key}")
    claim = _settings(Claim, given, where, id=name)
    for key, allowed in {"direction": get_args(Direction), "test": get_args(Test)}.items():
        if getattr(claim, key) not in allowed:
            raise UserError(f"{where}.{key}={getattr(claim, key)}: {suggestion(str(getattr(claim, key)), allowed)}")
    kinds = [claim.contrast.mean, bool(claim.contrast.slope), bool(claim.contrast.group and claim.contrast.against)]
    if sum(kinds) != 1:
        raise UserError(f"{where}.contrast: give either slope, or group and against, or mean")
    if claim.contrast.mean != (claim.test == "student_t") or (claim.contrast.mean and claim.beside):
        raise UserError(f"{where}.test={claim.test}: a mean is tested by student_t without covariates, all else not")
    if not isinstance(claim.level, float) or not 0.5 < claim.level < 1:
        raise UserError(f"{where}.level={claim.level}: must lie between 0.5 and 1, e.g. 0.95")
    if not isinstance(claim.margin, (int, float)) or claim.margin < 0:
        raise UserError(f"{where}.margin={claim.margin}: must be 0 or more; direction says which way")
    for key in ("units", "seeds", "each_side"):
        count = getattr(claim.design, key)
        if type(count) is not int or count < 1:
            raise UserError(f"{where}.design.{key}={count}: must be a whole number, 1 or more")
    if claim.contrast.mean and claim.design.units < 2:
        raise UserError(f"{where}.design.units={claim.design.units}: a mean over units needs 2 or more for an interval")
    _check_pairs(claim)
    return claim


def read_claims(folder: Path, names: Iterable[str] | None = None) -> list[Claim]:
    """The claims of a folder's YAML files: those of ``names`` in their order, or all.

    Raises:
        UserError: there is no such claim, or a file does not state one.
    """
    import yaml

    known = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    claims = []
    for name in known if names is None else names:
        if name not in known:
            raise UserError(f"claims: there is no claim {name}; {suggestion(name, known)}")
        try:
            values = yaml.safe_load(known[name].read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise UserError(f"claims.{name}: {' '.join(str(error).split())}; mend {known[name].name}") from None
        if not isinstance(values, Mapping):
            raise UserError(f"claims.{name}: {known[name].name} must hold keys such as statement and metric")
        claims.append(claim_from(name, values))
    return claims


def check_columns(claims: Sequence[Claim], columns: Iterable[str]) -> None:
    """See before anything is run that the table of jobs will have what the claims ask for.

    Raises:
        UserError: a claim names a column that there is not.
    """
    known = {*columns}
    for claim in claims:
        named = {"metric": [claim.metric], "unit": [claim.unit], "where": [*claim.where]}
        named["contrast"] = [*claim.contrast.group, *claim.contrast.against]
        named["contrast" if claim.contrast.slope and not claim.beside else "beside"] = [t.column for t in claim.terms]
        named["design.span"] = [*claim.design.span]
        named["gate"] = [*claim.gate.row, claim.gate.metric] if claim.gate else []
        for key, words in named.items():
            for word in words:
                if word not in known and not (key == "metric" and word in DERIVED):
                    allowed = known | {*DERIVED} if key == "metric" else known
                    raise UserError(f"claims.{claim.id}.{key}: no column {word} of jobs; {suggestion(word, allowed)}")


def _settings(cls: type[T], values: Any, where: str, **fixed: Any) -> T:
    if not isinstance(values, Mapping):
        raise UserError(f"{where}={values}: must hold keys, {', '.join(part.name for part in fields(cls))}")  # type: ignore[arg-type]
    parts = {part.name: part for part in fields(cls) if part.name not in fixed}  # type: ignore[arg-type]
    for key in values:
        if key not in parts:
            raise UserError(f"{where}.{key}={values[key]}: no such key; {suggestion(str(key), parts)}")
    for key, part in parts.items():
        needed = part.default is MISSING and part.default_factory is MISSING
        if needed and key not in values:
            raise UserError(f"{where}.{key} is missing; a claim states it before it is tested")
    return cls(**fixed, **values)


def _check_pairs(claim: Claim) -> None:
    """Ranges are pairs; a range that was written as one number would silently ask for equality."""
    for column, ends in claim.design.span.items():
        if not isinstance(ends, Sequence) or len(ends) != 2:
            raise UserError(f"claims.{claim.id}.design.span.{column}={ends}: must be [low, high]")
    places = {"where": claim.where, "contrast.group": claim.contrast.group, "contrast.against": claim.contrast.against}
    for place, conditions in places.items():
        for column, wanted in conditions.items():
            if isinstance(wanted, Sequence) and not isinstance(wanted, str) and len(wanted) != 2:
                raise UserError(f"claims.{claim.id}.{place}.{column}={wanted}: must be one value, or [low, high]")

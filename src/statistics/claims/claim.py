"""A claim as data: what is said, by whom, and what would count for or against it, written down before it is tested."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from src.core.errors import UserError, suggestion
from src.core.options import Count, Share, Words, options, options_of
from src.statistics.claims.outcomes import DERIVED
from src.statistics.claims.terms import Term

Value = str | bool | int | float | None
Range = tuple[int | float | None, int | float | None]
Conditions = Annotated[dict[str, Value | Range], Words("columns, each with one value or [low, high]")]
Span = Annotated[dict[str, tuple[int | float, int | float]], Words("columns, each with [low, high]")]


@options
class Contrast:
    """The slope over a term (``per``: what one step of it is called), a group of runs against another, or the mean.

    ``mean``: of a metric that is itself a difference, as that between two networks of one seed. ``within``: a column;
    the groups are compared within each of its values, as modules and their parent within a seed, and the mean of the
    differences is tested.
    """

    mean: bool = False
    slope: str = ""
    per: str = ""
    group: Conditions = field(default_factory=dict)
    against: Conditions = field(default_factory=dict)
    within: str = ""

    @property
    def averaged(self) -> bool:
        """Whether each unit has a difference of its own."""
        return self.mean or bool(self.within)


@options
class Design:
    """What the data must hold for any verdict.

    Attributes:
        units: so many units at least that have ``seeds`` runs or more.
        span: column -> [low, high]; ``each_side`` units must lie at or below, and as many at or above (of a contrast
            of groups: ``each_side`` units in each).
        share_left: share of the contrast's variance that must be left beside the covariates (1 / its variance
            inflation); below it, the two cannot be told apart and the verdict is 'undecided'.
    """

    units: Count
    seeds: Count = 1
    each_side: Count = 1
    span: Span = field(default_factory=dict)
    share_left: Share = 0.0


@options
class Gate:
    """The row that must have trained, and by what that is seen; how well it must is the caller's to say."""

    row: Conditions
    metric: str


@options
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
            for a mean, also of differences, which may be over few.
        level: of the interval; 1 - level is the Holm-corrected p below which a claim is decided.
    """

    id: str
    statement: str
    source: str
    metric: str
    contrast: Contrast
    direction: Literal["positive", "negative"]
    design: Design
    gate: Gate | None
    margin: Annotated[float, Ge(0)] = 0.0
    metric_unit: str = "%"
    beside: tuple[str, ...] = ()
    where: Conditions = field(default_factory=dict)
    unit: str = "variant"
    test: Literal["two_stage_bootstrap", "student_t"] = "two_stage_bootstrap"
    level: Annotated[float, Gt(0.5), Lt(1)] = 0.95

    @property
    def sign(self) -> int:
        return 1 if self.direction == "positive" else -1

    @property
    def terms(self) -> list[Term]:
        """The covariates, behind the slope's own term where there is one."""
        return [Term.parse(text) for text in ([self.contrast.slope] if self.contrast.slope else []) + [*self.beside]]


def claim_from(name: str, values: Mapping[str, Any]) -> Claim:
    """The claim that a YAML file holds.

    Raises:
        UserError: a key that does not exist or is missing, or a value that is not allowed.
    """
    where = f"claims.{name}"
    if "id" in values:
        raise UserError(f"{where}.id={values['id']}: the name of the file is the id; take the key out")
    claim = options_of(Claim, {**values, "id": name}, where)
    kinds = [claim.contrast.mean, bool(claim.contrast.slope), bool(claim.contrast.group and claim.contrast.against)]
    if sum(kinds) != 1:
        raise UserError(f"{where}.contrast: give either slope, or group and against, or mean")
    if claim.contrast.within and not claim.contrast.group:
        raise UserError(f"{where}.contrast.within={claim.contrast.within}: it pairs group and against; give both")
    averaged = claim.contrast.averaged
    if averaged != (claim.test == "student_t") or (averaged and claim.beside):
        raise UserError(f"{where}.test={claim.test}: a mean is tested by student_t without covariates, all else not")
    if averaged and claim.design.units < 2:
        raise UserError(f"{where}.design.units={claim.design.units}: a mean over units needs 2 or more for an interval")
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
        named["contrast"] = [*claim.contrast.group, *claim.contrast.against, *filter(None, [claim.contrast.within])]
        named["contrast" if claim.contrast.slope and not claim.beside else "beside"] = [t.column for t in claim.terms]
        named["design.span"] = [*claim.design.span]
        named["gate"] = [*claim.gate.row, claim.gate.metric] if claim.gate else []
        for key, words in named.items():
            for word in words:
                if word not in known and not (key == "metric" and word in DERIVED):
                    allowed = known | {*DERIVED} if key == "metric" else known
                    raise UserError(f"claims.{claim.id}.{key}: no column {word} of jobs; {suggestion(word, allowed)}")

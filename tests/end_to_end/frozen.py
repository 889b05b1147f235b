"""What other code reads of a result by its name, and what the results of five experiments are called and made of.

After a change that is meant to change them: ``uv run python -m tests.end_to_end.frozen`` and say why.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from src.core.paths import CONF
from src.report.over.over_seeds import SEEDS
from src.report.overview import CURVES as CURVES
from src.statistics.claims import Claim, read_claims
from src.statistics.claims.outcomes import DERIVED, RUN
from src.statistics.claims.terms import Term
from src.studies.robustness.shifted import CELLS
from src.tasks.compare import VARIED
from tests.end_to_end.conftest import ROOT, TINY, Ran

EXPERIMENTS = ("patch_weak", "modularize", "modular_vs_monolithic", "invariance_rotation", "robustness")
NAMES = Path(__file__).with_name("frozen_names.json")
IDENTITIES = Path(__file__).with_name("frozen_identities.json")

Names = dict[str, Any]  # metrics: names; row: keys; tables: name -> columns
#: columns that the comparison gives every job, whatever its task
GIVEN = {"job", "outcome", "status"}
#: metrics that only a gap between two networks makes, which a tiny job has by chance: table with the same columns
OF_A_GAP = {"router_share": "gap", "experts_share": "gap"}
#: what claims and the explorer read of the learning curves, beside what tells jobs apart
CURVE_COLUMNS = ("network", "split", "epoch", "accuracy")
#: what `src.studies.robustness.shifted.read_reference` reads
CELL_COLUMNS = ("network", "corruption", "severity", "accuracy")
#: what judging and `_tell_settings_apart` read of a job that claims are about
JUDGED = ("data", "seed")
#: and, before a regression, `_past_the_gate` of `src.report.over.judged`
GATED = ("variant", "validation_accuracy", "precision", "skipped")


@dataclass(frozen=True)
class Read:
    """Names that are read of the results of one experiment.

    Attributes:
        metrics: by name. columns: of the table of jobs, so metrics or keys of a job's row.
        settings: keys of a configuration, at any depth.
        tables: table -> its columns.
        values: (table, column) -> what must stand in it.
    """

    metrics: set[str] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    settings: set[str] = field(default_factory=set)
    tables: dict[str, set[str]] = field(default_factory=dict)
    values: dict[tuple[str, str], set[Any]] = field(default_factory=dict)


def columns_of_claim(claim: Claim) -> set[str]:
    """Columns of the table of jobs that a claim names."""
    named = {claim.unit, *claim.where, *claim.contrast.group, *claim.contrast.against, *claim.design.span}
    named |= {term.column for term in claim.terms} | {*filter(None, [claim.contrast.within])}
    if claim.gate:
        named |= {*claim.gate.row, claim.gate.metric}
    return named if claim.metric in DERIVED else named | {claim.metric}


def read_by(task: str, comparison: Mapping[str, Any] | None, study: str = "") -> Read:
    """What a comparison and other jobs read of a job's result; ``study``: of task=measure, that it ran."""
    how = comparison or {}
    read = Read()
    if task == "measure" and study == "robustness":  # `study.reference` names such a result
        read.tables[CELLS] = {*CELL_COLUMNS}
        read.values[CELLS, "corruption"] = {"none"}
        read.values[CELLS, "severity"] = {0}
    if how.get("over_seeds"):
        read.metrics.update(how["over_seeds"])
        read.settings.update(set(SEEDS) - {"data_seed"})  # which stands in results of the first edition alone
    if how.get("over_depth"):
        depth = how["over_depth"]
        read.columns.update(depth["group"])
        for table in depth["tables"]:
            read.tables[table] = {"network", "depth", depth["y"], depth["stratified"]}
            read.values[table, "network"] = {*depth["networks"]}
        read.tables["networks"] = {"network", "transformed_accuracy"}
    if how.get("claims") or how.get("explorer"):
        read.settings.update(how.get("varied", VARIED))
        read.columns.update(JUDGED)
        read.tables[CURVES] = {*CURVE_COLUMNS}
        read.values[CURVES, "split"] = {"train", "validation"}
    for claim in read_claims(CONF / "claims", how.get("claims", ())):
        read.columns.update(columns_of_claim(claim))
        read.columns.update(RUN if claim.metric in DERIVED else ())
        if claim.gate:
            read.settings.add("minimum_accuracy")
    if how.get("explorer"):
        explorer = how["explorer"]
        read.columns.update(["variant", *explorer["measures"], *explorer["space"], *explorer["costs"]])
        read.columns.update([explorer["profile"], *explorer["filters"]])
    if how.get("regression"):
        asked = how["regression"]
        read.columns.update(GATED)
        read.columns.update([asked["unit"], asked["outcome"], "location", *how.get("equal_cost", ())])
        read.columns.update(Term.parse(term).column for term in asked["terms"])
    return read


def names_of(result: Mapping[str, Any]) -> Names:
    """Names of a result's metrics, of the keys of its row, and of its tables with their columns."""
    tables = {name: pq.read_schema(_parquet(result, name)).names for name in result["tables"]}
    return {"metrics": list(result["metrics"]), "row": list(result["row"]), "tables": tables}


def study_metrics(options: Mapping[str, Any]) -> set[str]:
    """Metrics of a study of a network that is better than chance, beside its accuracy; by the section ``study``."""
    if options["name"] == "feature_reliance":
        return {"reliance_shape", "reliance_texture", "reliance_colour", "shape_over_texture"}
    areas = {f"area_{sweep['name']}" for sweep in options["operations"]}
    return areas | {f"interaction_{side}px" for side in options["patches"]}


def metrics_of_a_network(study: str, options: Mapping[str, Any]) -> set[str]:
    """The same, made: of a network that names a colour."""
    from src.studies.protocol import study_of
    from tests.studies.locality.test_study import ByColour, examined, measured

    def shorter(sweeps: Any) -> Any:
        return [{**sweep, "levels": sweep["levels"][-1:]} for sweep in sweeps]

    lists = {
        key: shorter(value) for key, value in options.items() if key in ("operations", "shape", "texture", "colour")
    }
    small = {**options, **lists, "images": 12, "batch": 12, "variants": 1}
    _, result = measured(study_of(study), small, examined(ByColour()))
    return set(result.metrics) - {"clean_accuracy"}


def missing_names(read: Read, names: Names) -> list[str]:
    """What is read and is not there, each in a few words."""
    tables = names["tables"]
    shares = {name for name, table in OF_A_GAP.items() if name in tables.get(table, ())}
    metrics = {*names["metrics"], *shares}
    absent = [f"metric {name}" for name in sorted(read.metrics - metrics)]
    absent += [f"column {name} of jobs" for name in sorted(read.columns - {*metrics, *names["row"], *GIVEN})]
    for table, columns in read.tables.items():
        if table not in tables:
            absent.append(f"table {table}")
        else:
            absent += [f"column {name} of {table}" for name in sorted(columns - {*tables[table]})]
    return absent


def missing_settings(read: Read, config: Mapping[str, Any]) -> list[str]:
    return sorted(read.settings - {*_keys(config)})


def missing_values(read: Read, result: Mapping[str, Any]) -> list[str]:
    """Rows that are looked for by a value that no row has."""
    absent = []
    for (table, column), wanted in read.values.items():
        there = pq.read_table(_parquet(result, table), columns=[column]).to_pydict()[column]
        absent += [f"{value} in {column} of {table}" for value in sorted(wanted - {*there}, key=str)]
    return absent


def lost_names(frozen: Names, names: Names) -> list[str]:
    """What was there when the names were frozen and is no longer; more is allowed."""
    lost = [f"{kind} {name}" for kind in ("metrics", "row") for name in frozen[kind] if name not in names[kind]]
    for table, columns in frozen["tables"].items():
        lost += [f"{table}.{column}" for column in columns if column not in names["tables"].get(table, ())]
    return lost


def identities_of(ran: Ran) -> dict[str, Any]:
    """The identities of a command line's results, and kind and digest of all that it left in its store."""
    entries = sorted([entry["kind"], entry["digest"]] for entry in ran.store)
    return {"results": sorted(result["identity"] for result in ran.results), "store": entries}


def _parquet(result: Mapping[str, Any], table: str) -> Path:
    return Path(result["folder"]) / "tables" / f"{table}.parquet"


def _keys(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _keys(inner)


def _written(found: Mapping[str, Any]) -> str:
    """JSON with one line per list of plain values, so that a difference can be read."""

    def lines(value: Any, depth: int) -> str:
        pad = "  " * (depth + 1)
        if isinstance(value, Mapping):
            inner = ",\n".join(f"{pad}{json.dumps(key)}: {lines(one, depth + 1)}" for key, one in value.items())
            return "{\n" + inner + "\n" + "  " * depth + "}"
        if isinstance(value, Sequence) and value and isinstance(value[0], list):
            return "[\n" + ",\n".join(pad + json.dumps(one) for one in value) + "\n" + "  " * depth + "]"
        return json.dumps(value)

    return lines(found, 0) + "\n"


def main() -> None:
    names, identities = {}, {}
    for name in EXPERIMENTS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "src.run", f"experiment={name}", *TINY, f"outputs={folder}"]
            subprocess.run(command, cwd=ROOT, check=True)
            ran = Ran(code=0, text="", outputs=Path(folder))
            names[name], identities[name] = names_of(ran.result), identities_of(ran)
    NAMES.write_text(_written(names))
    IDENTITIES.write_text(_written(identities))


if __name__ == "__main__":
    main()

"""Workspaces of Weights & Biases as code: sections and panels of an experiment, as its library's own models.

Nothing here needs a network but :func:`publish`. The library is an extra (``uv sync --extra workspaces``).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from src.core.store import digest_of
from src.report.described import Described
from src.report.words import pretty

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Section, Workspace

PACKAGE = "wandb_workspaces"
MOST = 6  # metrics that have panels
LINEAGES = 4  # artifacts that have one

#: Task, or study of ``measure`` -> metrics that decide, where neither a comparison nor a result names any.
DECIDING: dict[str, tuple[str, ...]] = {
    "train": ("test_accuracy", "validation_accuracy"),
    "train_variant": ("test_accuracy", "validation_accuracy"),
    "patch": ("f1_gain_over_tuned_bias", "f1_patched", "f1_weak", "other_accuracy_gain"),
    "modularize": ("composed_against_strong", "composed_accuracy", "strong_accuracy", "kernels_retained"),
    "compose": ("composed_against_monolith", "composed_accuracy", "monolith_accuracy"),
    "measure": ("corrupted_accuracy", "clean_accuracy", "ece", "auroc_unknown"),
}


def metrics_of(experiment: Described, known: Sequence[str] = ()) -> list[str]:
    """The metrics that an experiment is about: those it compares, or the first of its results.

    Args:
        known: metrics of a result of it, the deciding ones first.
    """
    asked = experiment.comparison
    named = asked.get("over_seeds") or (asked.get("explorer") or {}).get("measures") or list(known)
    return list(named or DECIDING.get(experiment.study or experiment.task, ()))[:MOST]


def workspace(
    experiment: Described,
    project: str,
    entity: str = "",
    known: Sequence[str] = (),
    artifacts: Sequence[str] = (),
) -> "Workspace":
    """What a reader of the experiment's runs looks at.

    Args:
        project: of W&B. entity: a user or a team; empty for a file that is not published.
        known: metrics of one of its results.
        artifacts: names of networks and modules that its jobs used.
    """
    from wandb_workspaces import expr
    from wandb_workspaces import workspaces as ws

    metrics = metrics_of(experiment, known)
    runs: Any = expr.Config("task") == experiment.task
    if experiment.group is not None:
        runs = expr.Metric("Group") == experiment.group
    columns = ["run:displayName", "summary:verdict", *(f"summary:{name}" for name in metrics)]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"cnn-anatomy: {experiment.name}",
        sections=[_with_names(section, experiment.name) for section in _sections(experiment, metrics, artifacts)],
        runset_settings=ws.RunsetSettings(
            filters=expr.And(runs),
            groupby=[expr.Config(key) for key in _varied(experiment)],  # seeds of one setting are one line
            pinned_columns=[*columns, *(f"config:{key}" for key in experiment.keys)],
        ),
    )


def specification(view: "Workspace") -> dict[str, Any]:
    """The workspace as its library would send it, validated by its models and as plain values."""
    model = view._to_model()
    plain = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    type(model).model_validate(plain)
    return plain


def publish(view: "Workspace") -> str:
    """Save it as a view of the project; returns its address. Needs a network and an account."""
    import wandb

    view.entity = view.entity or str(wandb.Api().default_entity)
    view.save()
    return str(view.url)


def _varied(experiment: Described) -> list[str]:
    return [key for key in experiment.keys if key != "seed"]


def _sections(experiment: Described, metrics: Sequence[str], artifacts: Sequence[str]) -> Iterator["Section"]:
    from wandb_workspaces.reports import v2 as wr
    from wandb_workspaces.workspaces import Section

    varied = _varied(experiment)
    said = f"**{experiment.question}**\n\n`uv run python -m src.run experiment={experiment.name}`"
    verdict: list[Any] = [wr.MarkdownPanel(markdown=said)]
    tables = ["jobs", *(["claims"] if experiment.comparison.get("claims") else [])]
    verdict += [wr.WeavePanelSummaryTable(table_name=f"tables/{name}") for name in tables]
    yield Section(name="Verdict", panels=verdict, is_open=True, pinned=True)
    results: list[Any] = []
    for metric in metrics:
        group = wr.Config(varied[0]) if varied else wr.Metric("Group")
        spread: dict[str, Any] = {"groupby": group, "groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"}
        results.append(wr.BarPlot(title=f"{pretty(metric)}, mean over seeds", metrics=[metric], **spread))
        for key in experiment.keys:
            title = f"{pretty(metric)} over {key}"
            results.append(wr.ScatterPlot(title=title, x=wr.Config(key), y=wr.SummaryMetric(metric)))
    yield Section(name="Results over swept keys", panels=results, is_open=True)
    columns = [wr.ParallelCoordinatesPlotColumn(wr.Config(key), display_name=key) for key in experiment.keys]
    columns += [wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(metric), pretty(metric)) for metric in metrics]
    decides: list[Any] = [wr.ParallelCoordinatesPlot(title="Settings and what came of them", columns=columns)]
    decides += [wr.ParameterImportancePlot(with_respect_to=metric) for metric in metrics[:1]]
    yield Section(name="Parallel coordinates", panels=decides, is_open=True)
    curves = [
        wr.LinePlot(
            title=title, metric_regex=f".*/{part}/{what}", groupby=wr.Metric("Group"), groupby_rangefunc="minmax"
        )
        for part, what, title in (
            ("val", "accuracy", "Validation accuracy"),
            ("train", "loss", "Training loss"),
            ("val", "loss", "Validation loss"),
        )
    ]
    yield Section(name="Learning curves", panels=list(curves))
    lineage: list[Any] = [wr.RunComparer(diff_only="split")]
    if artifacts:
        lineage = [wr.WeavePanelArtifact(artifact=name, tab="lineage") for name in artifacts[:LINEAGES]]
    else:
        where = "Open a run, then *Artifacts*, then *Lineage*: the images, networks and modules that it used and made."
        lineage.insert(0, wr.MarkdownPanel(markdown=where))
    yield Section(name="Lineage", panels=lineage)


def _with_names(section: "Section", experiment: str) -> "Section":
    """Panels are called by what they are, not by chance: the same file comes of the same experiment."""
    for number, panel in enumerate(cast(Any, section.panels)):
        panel._id = digest_of([experiment, section.name, number])[:11]
    return section

"""From a command line that is right to the outcomes of its jobs: one runs here, a sweep's go to Hydra's launcher."""

import shutil
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import run_job
from hydra.types import HydraContext, RunMode

from src.core.code import code_digest
from src.core.contents import forget
from src.core.errors import UserError
from src.jobs.border import with_digests
from src.jobs.command_line import CommandLine
from src.jobs.needs import check_needs
from src.jobs.sweep.outcomes import Outcome

#: Launchers that do not come with the project: what they are -> the package of Hydra's that its extra installs.
EXTRAS = {"ray": "hydra_ray_launcher", "slurm": "hydra_submitit_launcher"}

# the plugin's own launcher has the same name as ours, which says all that it says and more
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/ray' is validated against ConfigStore")


def check_launcher(overrides: Sequence[str]) -> None:
    """Refuse a launcher whose extra is not installed.

    Raises:
        UserError: it is not.
    """
    for line in overrides:
        name = line.removeprefix("hydra/launcher=")
        if name != line and name in EXTRAS and not find_spec(f"hydra_plugins.{EXTRAS[name]}"):
            raise UserError(f"{line} needs more packages; install them by: uv sync --extra {name}")


def launch(line: CommandLine) -> Sequence[Outcome]:
    """Run the job or the sweep, to the end of all jobs.

    Returns:
        Of each job, and of the page over a sweep.

    Raises:
        UserError: a job alone would miss something, a sweep its launcher or every job, so that none was begun.
    """
    from src.jobs.job import run_alone, run_in_sweep

    config = line.composed
    forget()  # where one process runs several command lines
    code_digest.cache_clear()
    callbacks = Callbacks(config)
    context = HydraContext(config_loader=line.composer.loader, callbacks=callbacks)
    if line.multirun:
        if str(config.hydra.launcher._target_).endswith(".SlurmLauncher") and not shutil.which("sbatch"):
            raise UserError(
                "hydra/launcher=slurm: this machine has no Slurm (no sbatch on PATH); start the sweep where jobs are "
                "submitted, or take hydra/launcher=cores"
            )
        config.hydra.mode = RunMode.MULTIRUN
        config.hydra.overrides.hydra.append("hydra.mode=MULTIRUN")  # for its jobs
        callbacks.on_multirun_start(config=config, config_name="config")
        sweeper = Plugins.instance().instantiate_sweeper(
            config=config, hydra_context=context, task_function=run_in_sweep
        )
        ended = sweeper.sweep(arguments=list(config.hydra.overrides.task))
        callbacks.on_multirun_end(config=config, config_name="config")
        return [outcome for outcome in ended or () if isinstance(outcome, Mapping)]  # another sweeper returns others
    check_needs(line.values)
    values = with_digests(line.values)
    callbacks.on_run_start(config=config, config_name="config")
    try:
        ran = run_job(lambda _: run_alone(values), config, "hydra.run.dir", None, context)
    except OSError as error:  # not even the job's folder can be made
        raise UserError(f"outputs: {error}; set outputs=FOLDER or CNN_ANATOMY_OUTPUTS") from None
    callbacks.on_run_end(config=config, config_name="config", job_return=ran)
    return [ran.return_value]

"""The bodies of `flow-inpaint train` and `flow-inpaint export`."""
from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import BadParameter, MissingWeights
from ..progress_bar import clock_time


def add_arguments(train: argparse.ArgumentParser, export: argparse.ArgumentParser) -> None:
    """The words of both commands."""
    train.add_argument("what", metavar="WHAT", help="dfc, flownet2 or deepfill")
    train.add_argument("--config", metavar="FILE", required=True, help="the configuration, or the name of one that comes with Flow Inpaint")
    train.add_argument("--out", metavar="DIR", help="the run's folder (default: runs/ and the configuration's name)")
    train.add_argument("--resume", action="store_true", help="go on with the run in the folder, if there is one")
    train.add_argument("--seconds", metavar="S", type=float, help="save and end after so many seconds")
    train.add_argument("--device", metavar="NAME", default="auto", help="auto, cpu or gpu (default: auto)")
    train.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="changes",
        help="change a setting, such as train.rate=1e-4; may be repeated",
    )
    export.add_argument("run", metavar="RUN", help="the folder of a run")
    export.add_argument("--out", metavar="DIR", help="where to put the weights and their catalogue (default: RUN/export)")
    export.add_argument("--name", metavar="NAME", help="what to call the set")
    export.add_argument("--role", metavar="ROLE", action="append", default=[], help="only this one; may be repeated")
    export.add_argument("--weights", metavar="WHICH", choices=("best", "last"), help="best or last (default: the best, if there are any)")
    export.add_argument("--licence", metavar="TERMS", help="the terms of the weights, for the catalogue (default: GPL-3.0-or-later)")
    export.add_argument("--notes", metavar="TEXT", default="", help="a remark for the catalogue")


def train(arguments: argparse.Namespace, stopped: Callable[[], bool]) -> int:
    """Trains. Raises `BadParameter`, `Aborted` once it has saved, `OutOfMemory`, `Failed`."""
    started = time.monotonic()
    _needs_torch()
    from . import checkpoint, config
    from .processes import joined
    from .state import CHECKPOINT
    from .tasks import kind
    from .trainer import Trainer

    settings, make = kind(arguments.what).load()
    changes = list(arguments.changes)
    if arguments.seconds is not None:
        changes.append(f"run.seconds={arguments.seconds}")
    wanted = config.read(arguments.config, arguments.what, settings, changes)
    tasks = [make(phase.task) for phase in wanted.phases]
    out = Path(arguments.out) if arguments.out else Path("runs") / Path(arguments.config).stem
    if not arguments.resume and checkpoint.exists(out / CHECKPOINT):
        raise BadParameter(f"{out} holds a run already: go on with it by --resume, or choose another --out.")

    def say(text: str) -> None:
        print(text, flush=True)

    with joined(_device(arguments.device)) as (processes, device):
        trainer = Trainer(wanted, tasks, out, device=device, processes=processes, stopped=stopped, say=say, started=started)
        outcome = trainer.run(resume=arguments.resume)
    if processes.first:
        done = outcome.progress
        how = "Finished" if outcome.finished else "The time is over"
        say(f"{how} after {done.total} steps and {done.samples} samples in {clock_time(done.seconds)}; see {out}.")
    return 0


def export(arguments: argparse.Namespace) -> int:
    _needs_torch()
    from .export import LICENCE
    from .export import export as write

    run = Path(arguments.run)
    out = Path(arguments.out) if arguments.out else run / "export"
    licence = LICENCE if arguments.licence is None else arguments.licence
    told = {"licence": licence, "notes": arguments.notes}
    for path in write(run, out, name=arguments.name, roles=arguments.role, which=arguments.weights, **told):
        print(f"Wrote {path}: {path.stat().st_size} bytes.")
    return 0


def _device(wanted: str) -> str:
    from ..machine import Machine

    if wanted not in ("auto", "cpu", "gpu"):
        raise BadParameter(f"--device cannot be '{wanted}': choose auto, cpu or gpu.")
    return Machine(wanted).device


def _needs_torch() -> None:
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        what = f"Training needs PyTorch and safetensors ({error})"
        raise MissingWeights(f"{what}: pip install 'flow-inpaint[networks]' brings them.") from error

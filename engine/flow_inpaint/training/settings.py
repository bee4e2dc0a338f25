"""What can be set for a training run; the fields' comments are their documentation. `config` reads them from a file."""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class RunSettings:
    """Of the whole run.

    seconds             a budget for each start of the command; 0: none
    save_every          seconds between checkpoints
    log_every           steps between lines of the log
    validate_every      steps between validations; 0: only at the end of each phase
    validation_samples  how many samples are looked at
    start               files or runs to take weights from at the very beginning
    tensorboard         log for TensorBoard as well, where it is installed
    """

    seed: int = 1
    seconds: float = 0.0
    save_every: float = 60.0
    log_every: int = 20
    validate_every: int = 500
    validation_samples: int = 32
    start: tuple[str, ...] = ()
    tensorboard: bool = True


@dataclass(frozen=True)
class DataSettings:
    """Clips to learn from.

    source     "scenes": generated; "clips": footage; "mixed": both, `share` of it footage; or MODULE:NAME, a source of one's own
    size       (height, width)
    mattes     kinds of mattes, in turn: moving, rectangle, blob, and with `objects`, object
    objects    a data set with annotations, or a folder of folders of mattes, for mattes of that kind
    one_matte  all samples of a step have the same matte
    textures   a folder of photographs to cut the surfaces of scenes from
    scene      more settings for scenes, see `scenes.SceneSettings`
    clips      data sets: folders as of DAVIS or YouTube-VOS, or of any clips (see `datasets.layouts`)
    split      what to learn from, of each of them, and `held_out` what to validate with; without it, that is one clip in ten
    height     that larger clips are brought down to; 0: none
    mirror     share of the windows of clips that are mirrored, and `reverse`, of those that are turned round in time
    flow       what measures the motion of clips: "dis", "flownet2", or "auto"
    estimated  the flow that networks get to see is measured as at work, on frames with holes, in place of the true flow
    cache      a folder for what is measured; without one it is the user's own
    loaders    processes that make batches ahead; 0: none
    """

    source: str = "scenes"
    size: tuple[int, int] = (128, 224)
    frames: int = 13
    mattes: tuple[str, ...] = ("moving", "rectangle")
    objects: str = ""
    one_matte: bool = False
    textures: str = ""
    scene: Mapping[str, Any] = field(default_factory=dict)
    clips: tuple[str, ...] = ()
    split: str = ""
    held_out: str = ""
    share: float = 0.5
    height: int = 240
    mirror: float = 0.5
    reverse: float = 0.5
    flow: str = "auto"
    estimated: bool = False
    cache: str = ""
    loaders: int = 0


@dataclass(frozen=True)
class TrainSettings:
    """Of a phase.

    steps         how long; and `seconds`, when not 0, ends it earlier (counted over all starts). The rate of "cosine" then comes down
                  with whichever of the two is farther, so that a slow machine ends at a low rate too
    batch         samples a step, of all processes together
    micro         samples at a time; 0: as many as there are; memory that runs out halves it
    optimizer     "sgd" or "adamw"
    rate          learning rate at its highest; a task may multiply it for some of the parameters
    warmup        steps until then
    decay         "steps": times `factor` at each of the `milestones`; "cosine": down to 0 at the end; "constant"
    clip          the gradient's length at most; 0: any
    ema           share of the averaged weights that stays at each step; 0: none are kept
    precision     "float32", "bfloat16", "float16", or "auto": float16 on CUDA, else float32
    """

    steps: int = 1000
    seconds: float = 0.0
    batch: int = 16
    micro: int = 0
    optimizer: str = "adamw"
    rate: float = 3e-4
    momentum: float = 0.9
    weight_decay: float = 4e-5
    warmup: int = 0
    decay: str = "steps"
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    clip: float = 0.0
    ema: float = 0.0
    precision: str = "auto"

    def rate_at(self, step: int, spent: float = 0.0) -> float:
        """The learning rate of a step, counted from 0, when so much of the phase's `seconds` is `spent` (0..1)."""
        warm = min((step + 1) / (self.warmup + 1), 1.0)
        if self.decay == "cosine":
            return self.rate * warm * 0.5 * (1 + math.cos(math.pi * min(max(step / max(self.steps, 1), spent), 1.0)))
        if self.decay == "steps":
            return self.rate * warm * self.factor ** sum(step >= milestone for milestone in self.milestones)
        return self.rate * warm


@dataclass(frozen=True)
class Phase:
    """A part of the run; `task` is an object of the task's own settings."""

    name: str
    train: TrainSettings
    task: Any


@dataclass(frozen=True)
class Config:
    what: str
    run: RunSettings
    data: DataSettings
    phases: tuple[Phase, ...]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

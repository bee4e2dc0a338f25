"""Training on data sets as users have them: samples, processes, loaders, mixtures, and what is refused."""
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from dataset_files import davis, objects_at, write_image, write_palette, youtube_vos
from toy_run import CPU, command, environment

import flow_inpaint
from flow_inpaint import cli
from flow_inpaint.datasets.prepared import Prepared
from flow_inpaint.errors import Aborted, BadClip, BadParameter
from flow_inpaint.training import checkpoint, config, footage, log
from flow_inpaint.training.banks import object_mattes, textures
from flow_inpaint.training.config import Config, DataSettings, Phase, RunSettings, TrainSettings
from flow_inpaint.training.footage import augmented, prepare
from flow_inpaint.training.processes import Processes
from flow_inpaint.training.sources import FRAMES, MOTION, Share, open_source
from flow_inpaint.training.state import CHECKPOINT
from flow_inpaint.training.tasks.dfc import DFCSettings, DFCTask
from flow_inpaint.training.trainer import Trainer

SIZE = (48, 64)


@pytest.fixture(autouse=True)
def forget():
    """As a new process begins: nothing of a data set is known yet."""
    for known in (footage._prepared, footage._named, footage._shapes, footage._parts, footage._library, object_mattes, textures):
        known.cache_clear()


def film(root: Path, name: str, frames: int, step: tuple[int, int], size: tuple[int, int] = (60, 90), seed: int = 0) -> None:
    """A textured ground that moves by `step` = (right, down) a frame, and the matte of something on it."""
    noise = np.random.default_rng(seed).normal(128, 250, (size[0] + 80, size[1] + 80, 3)).astype(np.float32)
    ground = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    for k in range(frames):
        top, left = 40 - k * step[1], 40 - k * step[0]
        write_image(root / "JPEGImages/480p" / name / f"{k:05d}.png", ground[top : top + size[0], left : left + size[1]])
        write_palette(root / "Annotations/480p" / name / f"{k:05d}.png", objects_at(k % 8, size))


@pytest.fixture
def films(tmp_path) -> DataSettings:
    film(tmp_path / "set", "right", 16, (2, 0))
    film(tmp_path / "set", "down", 14, (0, 1), seed=1)
    return DataSettings(source="clips", clips=(str(tmp_path / "set"),), cache=str(tmp_path / "cache"), size=SIZE, frames=12, flow="dis")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert values.dtype == other[name].dtype and torch.equal(values, other[name]), name


# --- samples ---


def test_a_sample_is_a_window_with_the_motion_that_was_measured(films):
    batch = open_source(replace(films, mirror=0.0, reverse=0.0), 1, Share(12), CPU).batch(0)
    assert batch["frames"].shape == (12, 12, 3, *SIZE) and batch["frames"].dtype == torch.uint8
    assert batch["forward"].shape == batch["backward"].shape == (12, 11, 2, *SIZE) and batch["holes"].shape == (12, 12, *SIZE)
    motion = batch["forward"].float()[..., 6:-6, 6:-6].flatten(3).median(3).values.median(1).values
    back = batch["backward"].float()[..., 6:-6, 6:-6].flatten(3).median(3).values.median(1).values
    kinds = {tuple(round(v) for v in one) for one in motion.tolist()}
    assert kinds == {(2, 0), (0, 1)}
    torch.testing.assert_close(back, -motion, atol=0.2, rtol=0)
    # The frames are those that the flow belongs to.
    for sample in range(12):
        dx, dy = (round(float(v)) for v in motion[sample])
        a, b = batch["frames"][sample, 3].float(), batch["frames"][sample, 4].float()
        assert (torch.roll(a, (dy, dx), (1, 2)) - b)[:, 8:-8, 8:-8].abs().max() == 0


def test_windows_crops_mirrors_and_reversals_all_occur(films):
    batch = open_source(films, 1, Share(40), CPU).batch(0)
    motion = batch["forward"].float()[..., 6:-6, 6:-6].flatten(3).median(3).values.median(1).values
    assert {tuple(round(v) for v in one) for one in motion.tolist()} == {(2, 0), (-2, 0), (0, 1), (0, -1)}
    assert len({batch["frames"][k].float().mean().item() for k in range(40)}) > 30
    other = open_source(films, 2, Share(40), CPU).batch(0)
    assert not torch.equal(batch["frames"], other["frames"])


def test_flow_of_a_mirrored_and_of_a_reversed_clip():
    """Against what is measured on the pictures that were mirrored or reversed."""
    from flow_inpaint.flow.dis import DIS

    noise = np.random.default_rng(3).normal(128, 300, (80, 120)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 3).clip(0, 255).astype(np.uint8)
    clip = [np.ascontiguousarray(noise[10 - k : 70 - k, 3 * k : 3 * k + 90]) for k in range(3)]

    def measured(clip: list[np.ndarray]) -> np.ndarray:
        return np.stack([np.stack([DIS()(a, b), DIS()(b, a)]) for a, b in zip(clip, clip[1:])])

    for mirrored in (False, True):
        for turned in (False, True):
            changed = [np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture for picture in clip]
            wanted = measured(changed[::-1] if turned else changed)
            forward, backward = augmented(measured(clip), mirrored=mirrored, turned=turned)
            for way, flow in enumerate((forward, backward)):
                inner = (..., slice(15, -15), slice(15, -15))
                assert np.abs(np.median((flow.numpy() - wanted[:, way])[inner], axis=(2, 3))).max() < 0.05


def test_samples_do_not_depend_on_processes_or_batches(films):
    for settings in (films, replace(films, source="mixed", share=0.4), replace(films, estimated=True, frames=3)):
        whole = open_source(settings, 1, Share(6), CPU).batch(2)
        parts = [open_source(settings, 1, Share(2, rank, 3), CPU).batch(2) for rank in range(3)]
        same({name: torch.cat([part[name] for part in parts]) for name in whole}, whole)


def test_a_mixture_has_its_share_of_footage_and_both_go_on_without_gaps(films):
    mixed = open_source(replace(films, source="mixed", share=0.25), 1, Share(8), CPU)
    scenes = open_source(replace(films, source="scenes", clips=()), 1, Share(6), CPU)
    clips = open_source(films, 1, Share(2), CPU)
    for step in range(2):
        batch, generated, filmed = mixed.batch(step), scenes.batch(step), clips.batch(step)
        assert "occluded_forward" not in batch
        for name in ("frames", "forward", "backward"):
            assert torch.equal(batch[name][[3, 7]], filmed[name].float())
            torch.testing.assert_close(batch[name][[0, 1, 2, 4, 5, 6]], generated[name])
    motion = open_source(replace(films, source="mixed", share=0.25), 1, Share(8), CPU, uses=(MOTION,)).batch(1)
    assert "frames" not in motion and torch.equal(motion["forward"], batch["forward"])
    for share, source in ((0.0, scenes), (1.0, clips)):
        same_kind = open_source(replace(films, source="mixed", share=share), 1, source._share, CPU).batch(0)
        assert torch.equal(same_kind["forward"], source.batch(0)["forward"])


def test_batches_that_processes_make_ahead_are_the_same(films):
    settings = replace(films, estimated=True, frames=3)
    plain = open_source(settings, 1, Share(2), CPU)
    ahead = open_source(replace(settings, loaders=2), 1, Share(2), CPU, uses=(FRAMES, MOTION))
    for step in (3, 4, 5, 5, 6):
        same(ahead.batch(step), plain.batch(step))
    same(ahead.batch(1), plain.batch(1))
    lean = open_source(replace(settings, loaders=1), 1, Share(2), CPU, uses=(MOTION,)).batch(0)
    assert set(lean) == {"key", "holes", "forward", "backward", "estimated_forward", "estimated_backward"}


def test_what_goes_wrong_in_a_loader_is_still_one_sentence(films, tmp_path):
    ahead = open_source(replace(films, loaders=1, clips=(str(tmp_path / "none"),)), 1, Share(2), CPU, uses=(MOTION,))
    with pytest.raises(BadClip) as refused:
        ahead.batch(0)
    assert str(refused.value) == f"{tmp_path / 'none'} is no folder of clips: it does not exist."


# --- estimated input ---


@pytest.mark.parametrize("source", ["clips", "scenes"])
def test_input_flow_is_what_a_job_finds_around_the_hole(films, source):
    from flow_inpaint.completion.smooth import complete
    from flow_inpaint.flow.dis import DIS
    from flow_inpaint.motion import MotionSettings, flows, view_of

    settings = replace(films, source=source, clips=films.clips if source == "clips" else (), estimated=True, mattes=("rectangle",))
    batch = open_source(settings, 1, Share(2), CPU).batch(0)
    for sample, t in ((0, 2), (1, 7)):
        views = []
        for k in (t, t + 1):
            picture = batch["frames"][sample, k].float().round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
            views.append(view_of(np.ascontiguousarray(picture), batch["holes"][sample, k].numpy()))
        wanted = flows(*views, MotionSettings(DIS(), complete, 3, 1.0))
        for way, flow in zip(("forward", "backward"), wanted, strict=True):
            np.testing.assert_array_equal(batch[f"estimated_{way}"][sample, t].numpy(), flow.astype(np.float16))
    if source == "clips":
        # Far from the hole it is the true flow of a window, which was measured between whole pictures.
        far = torch.nn.functional.max_pool2d(batch["holes"].any(1).float()[:, None], 41, 1, 20)[:, 0] == 0
        difference = (batch["estimated_forward"] - batch["forward"]).float().norm(dim=2)
        assert difference[batch["holes"][:, :-1]].max() > 0.02
        assert not far.any() or difference.median(1).values[far].median() < 0.1


def test_dfc_learns_from_estimated_input_and_measures_against_the_truth(films):
    settings = replace(films, estimated=True)
    task = DFCTask(DFCSettings(width=0.03, stages=1, noise=1.0, ends=0.0))
    batch = open_source(settings, 1, Share(2), CPU, uses=task.uses).batch(0)
    shot = task._shot(batch)
    assert torch.equal(shot.truth["forward"], batch["forward"].float())
    assert torch.equal(shot.given["forward"], batch["estimated_forward"].float())
    assert torch.equal(shot.given["backward"][:, 1:], batch["estimated_backward"].float())
    loss, _ = task.loss(task.build(), batch, "model")
    assert loss.isfinite()


# --- which clips ---


def test_clips_to_learn_from_and_to_validate_with(tmp_path, monkeypatch):
    for number in range(12):
        film(tmp_path / "set", f"clip{number:02d}", 3, (1, 0), seed=number)
    (tmp_path / "set/ImageSets").mkdir()
    (tmp_path / "set/ImageSets/val.txt").write_text("clip03\nclip04\n")
    settings = DataSettings(source="clips", clips=(str(tmp_path / "set"),), cache=str(tmp_path / "cache"), size=SIZE, frames=2, flow="dis")

    def names(settings: DataSettings) -> tuple[list[str], list[str]]:
        learnt, held_out = footage._parts(footage._asked(settings))
        return [clip.name for clip in learnt], [clip.name for clip in held_out]

    every = [f"clip{number:02d}" for number in range(12)]
    assert names(settings) == ([name for name in every if name != "clip05"], ["clip05"])
    assert names(replace(settings, held_out="val")) == ([name for name in every if name not in ("clip03", "clip04")], ["clip03", "clip04"])
    assert names(replace(settings, split="val", held_out="val"))[0] == []
    with pytest.raises(BadParameter, match="data.held_out leaves no clips"):
        open_source(replace(settings, split="val", held_out="val"), 1, Share(1), CPU)
    seen: list[str] = []
    really = Prepared.frames

    def watched(self, clip, first, last):
        seen.append(clip.name)
        return really(self, clip, first, last)

    monkeypatch.setattr(Prepared, "frames", watched)
    for validation, names_seen in ((True, {"clip03", "clip04"}), (False, set(every) - {"clip03", "clip04"})):
        batches = open_source(replace(settings, held_out="val"), 1, Share(60), CPU, validation=validation)
        seen.clear()
        batches.batch(0)
        assert set(seen) == names_seen


def test_youtube_vos_and_davis_are_learnt_from(tmp_path):
    youtube_vos(tmp_path / "yv")
    davis(tmp_path / "davis")
    both = (str(tmp_path / "yv"), str(tmp_path / "davis"))
    settings = DataSettings(source="clips", clips=both[:1], split="train", cache=str(tmp_path / "c"), size=(24, 32), frames=3, flow="dis")
    assert open_source(settings, 1, Share(3), CPU).batch(0)["forward"].shape == (3, 2, 2, 24, 32)
    assert open_source(replace(settings, clips=both), 1, Share(3), CPU).batch(0)["forward"].shape == (3, 2, 2, 24, 32)


def test_preparing_says_what_will_be_learnt_from(films, tmp_path):
    film(tmp_path / "set", "short", 5, (1, 0))
    film(tmp_path / "set", "small", 14, (1, 0), size=(40, 60))
    said: list[str] = []
    prepare(replace(films, held_out=""), motion=True, processes=Processes(), stopped=lambda: False, say=said.append)
    assert [line for line in said if line.startswith("Preparing")] == [
        f"Preparing clip {k} of 4: {name}" for k, name in enumerate(("down", "right", "short", "small"), 1)
    ]
    assert said[-1] == (
        "Learning from 8 windows of 2 clips, with flow by dis. Left out: 2 with fewer than 12 frames or less than 64x48 pixels. "
        "For validation: the same."
    )
    again: list[str] = []
    prepare(films, motion=True, processes=Processes(1, 2), stopped=lambda: True, say=again.append)
    assert len(again) == 1


def test_what_validates_can_be_used_or_is_refused_before_anything_is_learnt(films, tmp_path):
    for name, frames in (("three", 14), ("four", 14), ("short", 5), ("short2", 5)):
        film(tmp_path / "set", name, frames, (1, 0))
    said: list[str] = []

    def prepared(settings: DataSettings) -> str:
        prepare(settings, motion=False, processes=Processes(), stopped=lambda: False, say=said.append)
        return said[-1].rpartition("pixels. ")[2]

    assert prepared(films) == "For validation: 1."
    batch = open_source(films, 1, Share(1), CPU, uses=(FRAMES,), validation=True).batch(0)
    assert batch["frames"].shape == (1, 12, 3, *SIZE)
    names = tmp_path / "names.txt"
    names.write_text("short\nfour\n")
    assert prepared(replace(films, held_out=str(names))) == "For validation: 1."
    names = tmp_path / "others.txt"
    names.write_text("short\n")
    with pytest.raises(BadParameter, match="No clip that data.held_out names in .*set has 12 frames of 64x48 .* the longest has 5 of"):
        prepared(replace(films, held_out=str(names)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"clips": ()}, "data.source = 'clips' needs data.clips: the folder of a data set, or several."),
        ({"frames": 40}, "No clip of SET has 40 frames of 64x48 pixels (data.frames, data.size); the longest has 16 of 90x60 with"),
        ({"size": (50, 200)}, "No clip of SET has 12 frames of 200x50 pixels"),
        ({"height": 30}, "16 of 45x30 with data.height = 30."),
        ({"cache": "SET/cache"}, "data.cache cannot be SET/cache: it lies within the data set SET, which is left as it is."),
        ({"split": "train"}, "SET has no split 'train'"),
    ],
)
def test_what_cannot_be_learnt_from(films, tmp_path, changes, sentence):
    where = str(tmp_path / "set")
    changes = {name: value.replace("SET", where) if isinstance(value, str) else value for name, value in changes.items()}
    with pytest.raises((BadParameter, BadClip)) as refused:
        open_source(replace(films, **changes), 1, Share(1), CPU)
    assert sentence.replace("SET", where) in str(refused.value) and str(refused.value).endswith(".")


# --- banks ---


def test_object_mattes_of_data_sets_and_of_folders(films, tmp_path):
    bank = object_mattes(films.clips[0])
    # Two objects of two clips; the annotations themselves are a folder of mattes, of all objects together.
    assert len(bank.starts) == 5 and bank.mattes.shape[1:] == (120, 214)
    assert len(object_mattes(str(tmp_path / "set/Annotations/480p")).starts) == 3
    youtube_vos(tmp_path / "yv", ("train",))
    assert object_mattes(str(tmp_path / "yv/train")).starts == (0, 3, 6, 9, 12)
    settings = replace(films, objects=films.clips[0], mattes=("object",))
    holes = open_source(settings, 1, Share(4), CPU).batch(0)["holes"]
    assert holes.any(1).flatten(1).any(1).all() and holes.float().mean() < 0.5
    assert not torch.equal(holes, open_source(replace(settings, objects="", mattes=("blob",)), 1, Share(4), CPU).batch(0)["holes"])


def test_textures_of_photographs(films):
    settings = replace(films, source="scenes", clips=(), textures=films.clips[0], scene={"bank_share": 1.0})
    with_bank, without = (open_source(s, 1, Share(1), CPU).batch(0) for s in (settings, replace(settings, textures="", scene={})))
    assert torch.equal(with_bank["forward"], without["forward"]) and not torch.equal(with_bank["frames"], without["frames"])


def test_textures_of_video_files(tmp_path):
    (tmp_path / "videos").mkdir()
    for name in ("one.mp4", "two.mp4"):
        shutil.copy(Path(flow_inpaint.__file__).parent / "demo_shot/source.mp4", tmp_path / "videos" / name)
    bank = textures(str(tmp_path / "videos"))
    # Five frames of each, at two scales.
    assert bank.images.shape == (20, 3, 288, 512) and bank.images.dtype == torch.uint8
    assert torch.equal(bank.images[0], bank.images[2]) and not torch.equal(bank.images[0], bank.images[4])
    (tmp_path / "videos" / "two.mp4").write_bytes(b"no film")
    textures.cache_clear()
    with pytest.raises(BadParameter, match="^data.textures cannot be '.*videos': .*two.mp4.*[.]$"):
        textures(str(tmp_path / "videos"))


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("objects", "nowhere", "data.objects cannot be 'FOLDER/nowhere': there is no such folder."),
        ("textures", "nowhere", "data.textures cannot be 'FOLDER/nowhere': there is no such folder."),
        ("objects", "empty", "data.objects cannot be 'FOLDER/empty': there are no sequences of masks below FOLDER/empty."),
        ("textures", "empty", "data.textures cannot be 'FOLDER/empty': there are no pictures below FOLDER/empty."),
        (
            "objects", "broken",
            "data.objects cannot be 'FOLDER/broken': FOLDER/broken/Annotations/a/0.png is damaged or cut short: use a sound copy.",
        ),
    ],
)
def test_folders_that_hold_no_bank(tmp_path, name, text, part):
    (tmp_path / "empty").mkdir()
    write_image(tmp_path / "broken/JPEGImages/a/0.png", np.zeros((30, 40, 3), np.uint8))
    write_palette(tmp_path / "broken/Annotations/a/0.png", objects_at(0))
    path = tmp_path / "broken/Annotations/a/0.png"
    path.write_bytes(path.read_bytes()[:-16])
    with pytest.raises(BadParameter) as refused:
        {"objects": object_mattes, "textures": textures}[name](str(tmp_path / text))
    assert str(refused.value) == part.replace("FOLDER", str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["data.objects=x"], "data.objects has no effect without 'object' in data.mattes."),
        (["data.mattes=object"], "data.mattes has 'object', for which data.objects has to name"),
        (["data.clips=x"], "data.clips has no effect without data.source = 'clips' or 'mixed'."),
        (["data.clips=x", "data.source=clips", "data.textures=y"], "data.textures has no effect without generated scenes"),
        (["data.estimated=true", "data.source=toy_data:ToyBatches"], "data.estimated has no effect without"),
        (["data.share=1.5"], "data.share cannot be 1.5: it is at most 1."),
        (["data.loaders=-1"], "data.loaders cannot be -1: it is at least 0."),
        (["data.flow=raft"], "data.flow cannot be 'raft': choose auto, dis, flownet2."),
    ],
)
def test_settings_that_do_not_fit_together(changes, sentence):
    with pytest.raises(BadParameter) as refused:
        config.read("dfc-toy", "dfc", DFCSettings, changes)
    assert str(refused.value).startswith(sentence) and str(refused.value).endswith(".")


# --- the command ---


def words(films: DataSettings, what: str, out: Path, *more: str, config: Path | None = None) -> list[str]:
    made = ["train", what, "--config", str(config or f"{what}-toy"), "--device", "cpu", "--out", str(out)]
    made += ["--set", f"data.clips={films.clips[0]}", "--set", "data.source=clips", "--set", f"data.cache={films.cache}", "--set", "data.flow=dis"]
    return made + [word for change in more for word in ("--set", change)]


def test_dfc_and_deepfill_are_trained_on_footage(films, tmp_path, capfd):
    assert cli.main(words(films, "dfc", tmp_path / "dfc", "task.width=0.03", "data.size=[48,64]", "train.steps=1")) == 0
    out = capfd.readouterr().out
    assert "Preparing clip 1 of 2: down" in out
    assert "Learning from 8 windows of 2 clips, with flow by dis. For validation: the same." in out
    assert "Finished after 4 steps" in out
    assert cli.main(["export", str(tmp_path / "dfc")]) == 0
    catalogue = (tmp_path / "dfc/export/catalog.toml").read_text()
    assert "validation clips from clips (set), 64x48" in catalogue and "data clips)" in catalogue and str(tmp_path) not in catalogue
    capfd.readouterr()
    assert cli.main(words(films, "deepfill", tmp_path / "deepfill", "data.size=[48,48]", "train.steps=1")) == 0
    out = capfd.readouterr().out
    assert "Preparing" not in out and "flow by" not in out and "Finished after 2 steps" in out


def test_deepfill_needs_no_motion(films, tmp_path, capfd):
    assert cli.main(words(films, "deepfill", tmp_path / "run", "data.size=[48,48]", "train.steps=1")) == 0
    assert sorted(path.suffix for path in Path(films.cache).iterdir() if path.is_file()) == [".frames", ".frames"]


def test_flownet2_refuses_footage(films, tmp_path, capfd):
    for source in ("clips", "mixed"):
        assert cli.main(words(films, "flownet2", tmp_path / "run", f"data.source={source}")) == 2
        err = capfd.readouterr().err
        assert f"data.source cannot be '{source}' for flownet2, which learns from exact flow" in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_time_may_be_over_while_clips_are_prepared(films, tmp_path, capfd):
    assert cli.main([*words(films, "dfc", tmp_path / "run", "data.size=[48,64]"), "--seconds", "0.000001"]) == 0
    assert "The time is over after 0 steps" in capfd.readouterr().out
    assert not list(Path(films.cache).glob("*.part"))
    with pytest.raises(Aborted):
        prepare(films, motion=True, processes=Processes(), stopped=lambda: True, say=lambda text: None)


def test_dfc_overfits_two_clips(films, tmp_path):
    """Of which there are few windows each; the holes are always other ones."""
    data = replace(films, size=(60, 90), frames=14, mirror=0.0, reverse=0.0, mattes=("rectangle",))
    task = DFCTask(DFCSettings(stages=1, width=0.125, ends=0.0))
    steps = TrainSettings(steps=80, batch=2, rate=2e-3, warmup=10, clip=1.0, decay="cosine")
    run = RunSettings(log_every=1, validate_every=0, validation_samples=2, save_every=1e9)
    plan = Config("dfc", run, data, (Phase("one", steps, None),))
    assert Trainer(plan, [task], tmp_path / "run", device=CPU).run(resume=False).finished
    losses = [float(row["loss"]) for row in log.read(tmp_path / "run/log.csv")]
    assert np.mean(losses[-10:]) * 3 < losses[0], f"from {losses[0]:.4g} to {np.mean(losses[-10:]):.4g}"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_ctrl_c_saves_and_ends_the_loaders_too(films, tmp_path):
    import psutil

    more = ("data.size=[48,64]", "data.loaders=1", "task.width=0.03", "phases.stage1.train.steps=100000")
    process = subprocess.Popen(
        command(*words(films, "dfc", tmp_path / "run", *more)),
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert any("stage1 1:" in line for line in iter(process.stdout.readline, ""))
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    # As a terminal does it: to every process of the group.
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.startswith("flow-inpaint: Stopped at step") and err.count("\n") == 1
    assert checkpoint.facts(tmp_path / "run" / CHECKPOINT)["progress"]["total"] >= 1
    assert not psutil.wait_procs(family, timeout=20)[1]


def test_two_processes_and_loaders_learn_the_same_from_footage(films, tmp_path):
    more = ("data.source=mixed", "task.width=0.03", "data.size=[48,64]", "train.batch=2", "train.micro=1", "train.optimizer=sgd")
    more += ("data.estimated=true", "data.one_matte=true", "train.steps=3", "train.rate=1e-3")
    own = tmp_path / "own.toml"
    own.write_text("what = 'dfc'\n[run]\nlog_every = 1\nvalidation_samples = 1\n[data]\nframes = 12\n[task]\nstages = 1\n")
    for name, loaders in (("plain", 0), ("loaded", 1)):
        assert cli.main(words(films, "dfc", tmp_path / name, *more, f"data.loaders={loaders}", config=own)) == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "flow_inpaint"]
    start = [*torchrun, *words(films, "dfc", tmp_path / "two", *more, config=own)]
    done = subprocess.run(start, env=environment(), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    runs = {name: [row["loss"] for row in log.read(tmp_path / name / "log.csv")] for name in ("plain", "loaded", "two")}
    assert runs["plain"] == runs["loaded"] and len(runs["plain"]) == 3
    np.testing.assert_allclose([float(x) for x in runs["two"]], [float(x) for x in runs["plain"]], rtol=1e-4)
    assert checkpoint.facts(tmp_path / "two" / CHECKPOINT)["progress"]["samples"] == 6

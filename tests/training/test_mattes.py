from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from flow_inpaint.training.mattes import MatteBank, MatteSettings, centre_rectangle, generate, generate_mattes
from torch import Tensor

SIZE = (96, 160)
ONLY = {
    "moving": MatteSettings(moving=1, rectangle=0, blob=0),
    "rectangle": MatteSettings(moving=0, rectangle=1, blob=0),
    "blob": MatteSettings(moving=0, rectangle=0, blob=1),
}


def made(kind: str, batch: int = 16, seed: int = 1) -> Tensor:
    return generate(seed, batch, SIZE, 8, ONLY[kind])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sequences in DAVIS's layout, one of them shorter than a clip, an empty one, and frames that are no masks."""
    for name, count, value in (("bear", 12, 255), ("cow", 3, 1), ("nothing", 5, 0)):
        (tmp_path / "Annotations" / "480p" / name).mkdir(parents=True)
        for t in range(count):
            picture = np.zeros((120, 214), np.uint8)
            picture[40:80, 60 + 3 * t : 100 + 3 * t] = value
            cv2.imwrite(str(tmp_path / "Annotations" / "480p" / name / f"{t:05d}.png"), picture)
    (tmp_path / "Frames").mkdir()
    cv2.imwrite(str(tmp_path / "Frames" / "0.png"), np.random.default_rng(0).integers(0, 256, (120, 214, 3), np.uint8))
    return tmp_path


@pytest.fixture
def bank(folder: Path) -> MatteBank:
    return MatteBank.from_folder(folder, size=(60, 107))


def still(mattes: Tensor) -> Tensor:
    return (mattes == mattes[:, :1]).flatten(1).all(1)


def test_moving_shapes_move_and_change() -> None:
    mattes = made("moving")
    assert mattes.shape == (16, 8, *SIZE) and mattes.dtype == torch.bool
    assert not still(mattes).any()
    # Between neighbouring frames they move by little: most of a hole stays.
    common = (mattes[:, 1:] & mattes[:, :-1]).sum((1, 2, 3)) / mattes.sum((1, 2, 3))
    assert common.median() > 0.5


def test_shapes_are_irregular() -> None:
    for kind in ("moving", "blob"):
        for matte in made(kind, 8)[:, 4]:
            ys, xs = matte.nonzero(as_tuple=True)
            box = (ys.max() - ys.min() + 1) * (xs.max() - xs.min() + 1)
            assert len(ys) < 0.93 * box


def test_blobs_and_rectangles_stay() -> None:
    assert still(made("blob")).all() and still(made("rectangle")).all()


def test_rectangles_are_rectangles() -> None:
    for matte in made("rectangle", 30)[:, 0]:
        rows, columns = matte.any(1), matte.any(0)
        assert torch.equal(matte, rows[:, None] & columns)
        for line in (rows, columns):
            assert line.sum() == line.nonzero().max() - line.nonzero().min() + 1


def test_the_tables_rectangle_is_among_them() -> None:
    wanted = centre_rectangle(SIZE, 8)
    assert wanted.sum() == 8 * 24 * 40 and torch.equal(wanted, wanted.flip(1)) and torch.equal(wanted, wanted.flip(2))
    assert any(torch.equal(matte, wanted) for matte in made("rectangle", 60))


@pytest.mark.parametrize("kind", ["moving", "rectangle", "blob"])
def test_holes_are_neither_nothing_nor_everything(kind: str) -> None:
    share = made(kind, 60).float().mean((2, 3))
    assert (share[:, 4] > 0.002).all() and (share < 0.5).all()
    assert share.mean() > 0.02


def test_the_same_seed_makes_the_same_mattes_in_any_batch(bank: MatteBank) -> None:
    settings = MatteSettings(bank=bank)
    together = generate(5, 8, SIZE, 8, settings)
    assert torch.equal(together, generate(5, 8, SIZE, 8, settings))
    assert torch.equal(together, torch.cat([generate(5, 1, SIZE, 8, settings, first=k) for k in range(8)]))
    assert not torch.equal(together, generate(6, 8, SIZE, 8, settings))


def test_kinds_are_as_common_as_they_should_be() -> None:
    share = still(generate(2, 300, (32, 48), 4, MatteSettings(moving=0.75, rectangle=0.25, blob=0))).float().mean()
    assert 0.17 < share < 0.33


def test_a_device_is_never_waited_for(bank: MatteBank) -> None:
    for there in (bank, bank.to("meta")):
        assert generate(1, 12, SIZE, 4, MatteSettings(bank=there), "meta").device.type == "meta"


# ---- objects


def test_a_folder_of_masks_gives_its_sequences(bank: MatteBank) -> None:
    assert bank.starts == (0, 12, 15) and bank.mattes.shape == (15, 60, 107)
    assert abs(int(bank.mattes[0].sum()) - 20 * 20) <= 60


def test_objects_are_put_somewhere_and_move(bank: MatteBank) -> None:
    settings = MatteSettings(moving=0, rectangle=0, blob=0, object=1, bank=bank)
    mattes = generate(3, 24, SIZE, 8, settings)
    assert not still(mattes).any()
    share = mattes.float().mean((2, 3))
    assert (share[:, 4] > 0.001).all() and share.max() < 0.4
    middles = torch.stack([m[4].nonzero().float().mean(0) for m in mattes])
    assert (middles.std(0) > 8).all()


def test_without_a_bank_there_are_no_objects() -> None:
    assert generate(3, 4, SIZE, 3, MatteSettings(object=5)).any()
    with pytest.raises(ValueError, match="no kind"):
        MatteSettings(moving=0, rectangle=0, blob=0, object=1)


def test_a_folder_without_masks_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=str(tmp_path)):
        MatteBank.from_folder(tmp_path)


@pytest.mark.parametrize("area", [(0.0, 0.1), (0.2, 0.1), (0.1, 1.0)])
def test_impossible_areas_are_refused(area: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="cannot be made"):
        MatteSettings(area=area)


@pytest.mark.parametrize(("kind", "stays"), [("moving", False), ("rectangle", True), ("blob", True)])
def test_one_kind_at_a_time(kind: str, stays: bool) -> None:
    mattes = generate_mattes(3, 4, 6, SIZE, kind)
    assert mattes.shape == (4, 6, *SIZE) and bool(still(mattes).all()) == stays
    assert torch.equal(generate_mattes(3, 2, 6, SIZE, kind, first=2), mattes[2:])


def test_objects_are_a_kind_where_there_is_a_bank(bank: MatteBank) -> None:
    mattes = generate_mattes(3, 4, 6, SIZE, "object", bank=bank)
    only = MatteSettings(moving=0, rectangle=0, blob=0, object=1, bank=bank)
    assert torch.equal(mattes, generate(3, 4, SIZE, 6, only)) and mattes.flatten(1).any(1).all()
    assert torch.equal(generate_mattes(3, 4, 6, SIZE, "blob", bank=bank), generate_mattes(3, 4, 6, SIZE, "blob"))
    with pytest.raises(ValueError, match="kind 'object', but moving, rectangle and blob"):
        generate_mattes(3, 4, 6, SIZE, "object")


def test_a_kind_that_is_none() -> None:
    with pytest.raises(ValueError, match="kind 'star'"):
        generate_mattes(3, 4, 6, SIZE, "star")

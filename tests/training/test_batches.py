"""The batches: what augmentation may change, what is mixed in, and that it is a function of the step."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from birnn_cli.data import strokes
from birnn_cli.network.rows import to_rows
from birnn_cli.runs.recipes import RECIPES
from birnn_cli.training import augment
from birnn_cli.training.augment import SHIFT_PIXELS
from birnn_cli.training.batches import Batches, random_generator

IMAGES, LABELS = strokes.sample("train", 300)
ROWS = torch.from_numpy(to_rows(IMAGES[:64]))
RECIPE = replace(RECIPES["notebook"], batch_size=20)
CPU = torch.device("cpu")


def changed(strength: float, rows: torch.Tensor = ROWS, seed: int = 0) -> torch.Tensor:
    changes = augment.draw(len(rows), strength, random_generator(seed, "augment", 0))
    return augment.augment(rows, changes)


def batch(batches: Batches, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    return batches.batch(step)


def centres(rows: torch.Tensor) -> torch.Tensor:
    """Centre of mass of each image: (images, 2), in pixels."""
    index = torch.arange(28.0)
    mass = rows.sum(dim=(1, 2))
    return torch.stack([rows.sum(dim=2) @ index, rows.sum(dim=1) @ index], dim=1) / mass[:, None]


def test_no_strength_changes_nothing() -> None:
    torch.testing.assert_close(changed(0), ROWS, atol=1e-5, rtol=0)


@settings(max_examples=20, deadline=None)
@given(strength=st.floats(0.1, 3), seed=st.integers(0, 10**6))
def test_changed_images_keep_shape_range_and_some_ink(strength: float, seed: int) -> None:
    rows = changed(strength, seed=seed)
    assert rows.shape == ROWS.shape and rows.dtype == torch.float32
    assert rows.min() >= 0 and rows.max() <= 1 + 1e-6
    if strength <= 1:
        assert (rows.sum(dim=(1, 2)) > 0.3 * ROWS.sum(dim=(1, 2))).all()


def test_each_image_is_changed_in_its_own_way() -> None:
    same = changed(1, ROWS[:1].expand(40, -1, -1))
    same = same[(same - ROWS[0]).abs().amax(dim=(1, 2)) > 1e-4]
    for one in range(len(same)):
        assert all((same[one] - same[other]).abs().max() > 0.05 for other in range(one))


def test_digits_move_both_ways_by_a_few_pixels_at_most() -> None:
    moved = centres(changed(1)) - centres(ROWS)
    assert moved.abs().max() < 2 * SHIFT_PIXELS
    assert (moved.min(dim=0).values < -1).all() and (moved.max(dim=0).values > 1).all()


def test_pens_become_thicker_and_thinner() -> None:
    ink = changed(1).sum(dim=(1, 2)) / ROWS.sum(dim=(1, 2))
    assert ink.min() < 0.9 and ink.max() > 1.2


def test_some_images_stay_as_they_are() -> None:
    rows = ROWS[:1].expand(1000, -1, -1)
    same = (changed(1, rows) - rows).abs().amax(dim=(1, 2)) < 1e-5
    assert 0.8 * augment.UNCHANGED < same.float().mean() < 1.2 * augment.UNCHANGED


@pytest.mark.parametrize(("gain", "grey"), [(1.0, 0.45), (2.0, 0.55), (8.0, 1.0)])
def test_a_gain_moves_grey_away_from_its_pivot_and_keeps_black_and_white(
    gain: float, grey: float
) -> None:
    rows = bar(20, 8)[None]
    rows[0, 10, 10] = 0.45
    unchanged = augment.draw(1, 0, random_generator(0, "augment", 0))
    sharp = augment.augment(rows, unchanged._replace(gain=torch.tensor([gain])))[0]
    assert sharp[10, 10].item() == pytest.approx(grey, abs=1e-4)
    assert sharp[0, 0] == 0 and sharp[14, 14].item() == pytest.approx(1, abs=1e-5)


def bar(height: int, width: int) -> torch.Tensor:
    """An image with an upright bar in its middle: (28, 28) float32."""
    image = torch.zeros(28, 28)
    image[14 - height // 2 : 14 + height // 2, 14 - width // 2 : 14 + width // 2] = 1
    return image


@pytest.mark.parametrize(
    ("stretch", "wide", "high"),
    [(1.0, 8, 20), (1.5, 12, 20), (0.5, 4, 20), (2.5, 20, 20), (5.0, 20, 10)],
)
def test_ink_is_stretched_as_asked_and_its_longer_side_keeps_its_length(
    stretch: float, wide: int, high: int
) -> None:
    unchanged = augment.draw(1, 0, random_generator(0, "augment", 0))
    rows = augment.augment(bar(20, 8)[None], unchanged._replace(stretch=torch.tensor([stretch])))
    ink = rows[0] > 0.5
    assert (int(ink.any(dim=0).sum()), int(ink.any(dim=1).sum())) == (wide, high)


def test_an_image_without_ink_is_stretched_without_a_fault() -> None:
    assert torch.equal(changed(1, torch.zeros(4, 28, 28)), torch.zeros(4, 28, 28))


def batches(strength: float = 1.0, share: float = 0.0, seed: int = 0) -> Batches:
    drawn = (np.full((50, 28, 28), 255, np.uint8), np.full(50, 7))
    mixed = [("strokes", share, drawn)]
    return Batches(replace(RECIPE, augment=strength), seed, CPU, (IMAGES, LABELS), mixed)


def test_the_changes_are_a_function_of_the_seed_and_the_step() -> None:
    one, two, other = batches(), batches(), batches(seed=1)
    for step in (17, 3):
        assert torch.equal(batch(one, step)[0], batch(two, step)[0])
    assert not torch.equal(batch(one, 3)[0], batch(other, 3)[0])
    # The same images, in their second pass, are not changed as they were in the first, but for those few
    # that stay as they are in both.
    passes = torch.cat([batch(batches(), step)[0] for step in range(30)])
    assert len(torch.unique(passes, dim=0)) > 600 - 2 * 300 * augment.UNCHANGED**2


def test_augmentation_leaves_order_and_labels_alone() -> None:
    for step in (0, 16):
        assert torch.equal(batch(batches(), step)[1], batch(batches(0), step)[1])


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.1, 2), (0.52, 10), (0.94, 19)])
def test_every_batch_holds_its_share_of_drawn_digits(share: float, count: int) -> None:
    mixed = batches(0, share)
    for step in (0, 1, 40):
        rows, labels = batch(mixed, step)
        drawn = rows.amin(dim=(1, 2)) == 1
        assert len(rows) == len(labels) == 20
        assert int(drawn.sum()) == count
        assert (labels[drawn] == 7).all()


def test_mixing_in_skips_no_image_of_the_data_set() -> None:
    mixed = batches(0, 0.5)
    shown = torch.cat([batch(mixed, step)[0][:10] for step in range(30)])
    expected = torch.from_numpy(to_rows(IMAGES))
    assert torch.equal(torch.unique(shown, dim=0), torch.unique(expected, dim=0))


@given(st.integers(1, 7), st.integers(0, 40), st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 0.3]))
@settings(max_examples=40, deadline=None)
def test_the_shares_of_a_batch_make_up_the_batch(
    size: int, step: int, strength: float, mixed_share: float
) -> None:
    """Image k of the whole is image k // size of share k % size, changed as in the whole."""
    drawn = (np.full((50, 28, 28), 255, np.uint8), np.full(50, 7))
    recipe, mixed = replace(RECIPE, augment=strength), [("strokes", mixed_share, drawn)]
    rows, labels = batch(Batches(recipe, 3, CPU, (IMAGES, LABELS), mixed), step)
    for rank in range(size):
        share = slice(rank, None, size)
        own = batch(Batches(recipe, 3, CPU, (IMAGES, LABELS), mixed, share), step)
        assert torch.equal(own[1], labels[share])
        # Sums in another order differ in their last bits, and sharpening multiplies that by up to six.
        torch.testing.assert_close(own[0], rows[share], rtol=0, atol=1e-4)

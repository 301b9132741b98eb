"""Batches: cut over any number of processes and accumulation steps, they have the same images to the bit."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from melanoma.augment.transforms import plain_transforms, warp
from melanoma.augment.tta import NO_TTA, view_count
from melanoma.common.errors import InputError
from melanoma.config.augmentation import TTA
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.images.store import ImageStore
from melanoma.training.loader import EpochBatches, Examples, PredictionBatches, diagnosis_classes, to_device
from melanoma.training.prefetch import Prefetch

AUGMENTATION = {
    "flip_vertical": 0.5,
    "affine": {"probability": 1.0, "rotate": 90},
    "noise": {"probability": 0.5},
    "hair": {"probability": 0.5},
    "blur": {"probability": 0.5},
    "cutout": {"probability": 0.5},
}
RECIPE = tiny.recipe(augmentation=AUGMENTATION, batch_size=11)
DIHEDRAL = TTA(name="dihedral")
RANDOM = TTA(name="random", n=5)
# Several tests run at once, and torch's threads wait for one another.
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    rows = tiny.table()
    images = tiny.write_store(tmp_path_factory.mktemp("store") / "images.h5", rows)
    return Examples.of(rows, MetadataEncoder.fit(rows), images, 24, diagnosis_classes(rows))


def without_images(examples):
    return dataclasses.replace(examples, store=None)


def joined(batches):
    """Return the fields of several batches, each one after another."""
    batches = list(batches)
    fields = [field.name for field in dataclasses.fields(batches[0]) if field.name != "noise_seeds"]
    whole = {
        name: torch.cat([getattr(batch, name) for batch in batches])
        for name in fields
        if batches[0].images is not None or name != "images"
    }
    return whole | {"noise_seeds": [seed for batch in batches for seed in batch.noise_seeds]}


def same(left, right):
    left, right = joined(left), joined(right)
    return left.keys() == right.keys() and all(
        torch.equal(left[name], right[name]) if isinstance(left[name], torch.Tensor) else left[name] == right[name]
        for name in left
    )


@settings(max_examples=25)
@given(data=st.data(), ranks=st.integers(1, 5), size=st.integers(7, 40), epoch=st.integers(0, 3))
def test_the_parts_of_all_processes_and_accumulation_steps_are_the_whole_batch(examples, data, ranks, size, epoch):
    recipe = tiny.recipe(augmentation=AUGMENTATION, batch_size=size)
    whole = EpochBatches(examples, recipe, epoch)
    number = data.draw(st.integers(0, len(whole) - 1))
    of_ranks = [EpochBatches(examples, recipe, epoch, rank, ranks) for rank in range(ranks)]
    parts = [batches[number] for batches in of_ranks]
    assert all(len(batches) == len(whole) and batches.global_sizes == whole.global_sizes for batches in of_ranks)
    assert sum(map(len, parts)) == whole.global_sizes[number] == len(whole[number])
    assert np.ptp([len(part) for part in parts]) <= 1
    assert same(parts, [whole[number]])
    places = [np.arange(len(whole[number]))[batches.place(number)] for batches in of_ranks]
    assert np.concatenate(places).tolist() == list(range(len(whole[number])))
    assert [len(place) for place in places] == [len(part) for part in parts]
    count = data.draw(st.integers(1, min(map(len, parts))))
    accumulated = [piece for part in parts for piece in part.parts(count)]
    assert len(accumulated) == ranks * count and min(map(len, accumulated)) > 0
    assert same(accumulated, [whole[number]])


def test_noise_and_colors_on_the_device_do_not_depend_on_the_cut(examples):
    batch = EpochBatches(examples, RECIPE, 0)[1]
    whole = to_device(batch, torch.device("cpu"))
    cut = [to_device(part, torch.device("cpu")) for part in batch.parts(4)]
    for name in whole._fields:
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in cut]))


def test_batches_without_images_are_cut_in_the_same_way(examples):
    plain = without_images(examples)
    batches = [EpochBatches(plain, RECIPE, 0, rank, 3)[0] for rank in range(3)]
    assert same([piece for batch in batches for piece in batch.parts(2)], [EpochBatches(plain, RECIPE, 0)[0]])
    assert to_device(batches[0], torch.device("cpu")).images is None


def test_a_batch_smaller_than_the_processes_is_an_error_that_says_what_to_change(examples):
    with pytest.raises(InputError, match=r"A batch of 10 images cannot be cut over 11 processes.*batch_size"):
        EpochBatches(examples, RECIPE, 0, 0, 11)
    with pytest.raises(InputError, match=r"cannot be cut into 12 parts.*gradient_accumulation_steps"):
        EpochBatches(examples, RECIPE, 0)[0].parts(12)


@pytest.mark.parametrize(("frame", "shown"), [("full_size", slice(0, 32)), ("center_crop", slice(6, 26))])
def test_prediction_reads_the_frame_that_tta_names(examples, frame, shown):
    small = dataclasses.replace(examples, output_size=20)
    images = joined(PredictionBatches(small, 7, TTA(frame=frame), RECIPE))["images"].numpy()
    np.testing.assert_array_equal(images, examples.store.read(examples.rows)[:, shown, shown])


@pytest.mark.parametrize("size", [None, 24, 16])
def test_without_tta_prediction_reads_the_plain_images_in_order(examples, tmp_path, size):
    rows = tiny.table(20)
    store = ImageStore(tiny.write_store(tmp_path / "images.h5", rows))
    output_size = size or tiny.SIZE
    one = dataclasses.replace(examples, store=store, rows=np.arange(20)[::-1].copy(), output_size=output_size)
    batches = PredictionBatches(one, 7, NO_TTA, RECIPE)
    assert [len(batch) for batch in batches] == [7, 6, 7]
    images = joined(batches)["images"].numpy()
    expected = warp(store.read(one.rows), plain_transforms(20, tiny.SIZE, output_size).affine, output_size)
    np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize("tta", [NO_TTA, DIHEDRAL, RANDOM], ids=lambda tta: tta.name)
def test_views_do_not_depend_on_the_batch_size(examples, tta):
    whole = PredictionBatches(examples, 1000, tta, RECIPE)
    small = PredictionBatches(examples, 20, tta, RECIPE)
    assert len(whole) == 1 and max(map(len, small)) <= 20
    assert same(small, [whole[0]])
    assert len(whole[0]) == len(examples.rows) * view_count(tta)


def test_metadata_and_labels_are_repeated_with_the_views_of_their_image(examples):
    batch = PredictionBatches(examples, 24, DIHEDRAL, RECIPE)[1]
    for name in ("metadata", "targets", "diagnoses"):
        np.testing.assert_array_equal(getattr(batch, name), np.repeat(getattr(examples, name)[3:6], 8, axis=0))


def test_each_image_is_read_once_for_all_its_views(examples, monkeypatch):
    read = []
    monkeypatch.setattr(
        ImageStore, "read", lambda self, rows, read_=ImageStore.read: read.extend(rows) or read_(self, rows)
    )
    list(PredictionBatches(examples, 16, DIHEDRAL, RECIPE))
    assert read == list(range(60))


def test_an_image_with_more_views_than_a_batch_holds_is_a_batch_of_its_own(examples):
    batches = PredictionBatches(examples, 4, DIHEDRAL, RECIPE)
    assert len(batches) == 60 and len(batches[0]) == 8


def test_a_model_without_images_has_one_view(examples):
    batches = PredictionBatches(without_images(examples), 64, DIHEDRAL, RECIPE)
    assert batches.views == 1 and [len(batch) for batch in batches] == [60]


def test_random_views_have_no_hair_blur_or_cutout(examples):
    pixelwise = {name: {"probability": 1.0} for name in ("hair", "blur", "cutout")}
    recipes = [tiny.recipe(augmentation=augmentation) for augmentation in ({}, pixelwise)]
    assert same(*([PredictionBatches(examples, 64, RANDOM, recipe)[0]] for recipe in recipes))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", [EpochBatches, PredictionBatches])
def test_batches_are_the_same_bits_for_any_number_of_threads(examples, kind, threads):
    batches = EpochBatches(examples, RECIPE, 1) if kind is EpochBatches else kind(examples, 64, RANDOM, RECIPE)
    numbers = range(1, len(batches))
    with Prefetch(threads, pinned=False) as prefetch:
        assert same(prefetch.stream(batches, numbers), [batches[number] for number in numbers])


def test_diagnoses_are_indices_of_the_sorted_training_classes_or_minus_one(examples):
    train = pd.DataFrame({"diagnosis": pd.Series(["nevus", None, "melanoma", "nevus"], dtype="str")})
    classes = diagnosis_classes(train)
    assert classes == ("melanoma", "nevus")
    rows = tiny.table(4).assign(diagnosis=pd.Series(["nevus", "solar lentigo", None, "melanoma"], dtype="str"))
    encoder = MetadataEncoder.fit(rows)
    assert Examples.of(rows, encoder, None, None, classes).diagnoses.tolist() == [1, -1, -1, 0]
    assert Examples.of(rows, encoder, None, None).diagnoses.tolist() == [-1] * 4
    assert Examples.of(rows.drop(columns="diagnosis"), encoder, None, None, classes).diagnoses.tolist() == [-1] * 4
    batch = EpochBatches(examples, RECIPE, 0)[0]
    assert batch.diagnoses.dtype == torch.int64
    # Of the tiny study, melanoma is class 0 and nevus class 1.
    assert torch.equal(batch.diagnoses, 1 - batch.targets.long())

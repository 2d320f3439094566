"""Prepared folders as training reads them: whole, in order, by class; and every folder that is not what it seems."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from prepared_samples import drawn, drawn_samples, write_sample

from app.errors import DataError
from model.annotations import Sample
from model.folds import PROTOCOLS, make_folds
from model.labels import CLASS_PROTOCOLS
from model.prepare import prepare
from model.prepared import PreparedPairs, crop_folder, load_prepared, read_table

FIVE = CLASS_PROTOCOLS["casme2_5class"]
COMPOSITE = CLASS_PROTOCOLS["composite_3class"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def samples(data) -> list[Sample]:
    """Disgust with three onset and apex frames, surprise with one, and fear, which has none of the five classes."""
    images = {n: drawn(n) for n in (0, 1, 2, 54, 55, 56)}
    return [
        write_sample(data / "long", images, onset=0, apex=56, label="disgust"),
        write_sample(data / "short", {3: drawn(3), 4: drawn(4)}, onset=3, apex=4, label="surprise", subject="2"),
        write_sample(data / "left-out", {3: drawn(5), 4: drawn(6)}, onset=3, apex=4, label="fear", subject="2"),
    ]


@pytest.fixture(scope="module")
def folder(samples, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "casme2"
    prepare(samples, out, crops="as-is")
    return out


@pytest.fixture(scope="module")
def pairs(folder) -> PreparedPairs:
    return load_prepared([folder], FIVE)


def shown(seed: int) -> np.ndarray:
    """The crop of `drawn(seed)` in RGB."""
    return cv2.resize(drawn(seed), (224, 224), interpolation=cv2.INTER_CUBIC)[..., ::-1]


def test_samples_of_the_protocol_are_read(pairs):
    assert len(pairs) == 2
    assert pairs.class_names == FIVE.class_names
    assert [pairs.class_names[label] for label in pairs.label] == ["disgust", "surprise"]
    assert pairs.label.dtype == np.int64
    assert pairs.subject.tolist() == ["casme2/1", "casme2/2"]
    assert pairs.key.tolist() == ["casme2/1/long/0", "casme2/2/short/3"]
    assert pairs.emotion.tolist() == ["disgust", "surprise"]
    assert pairs.dataset.tolist() == ["casme2", "casme2"]
    assert pairs.crop_recipe == "as-is"
    assert [array.shape for array in (*pairs.onsets, *pairs.apexes)] == [(3, 224, 224, 3), (1, 224, 224, 3)] * 2
    assert all(array.dtype == np.uint8 for array in (*pairs.onsets, *pairs.apexes))


def test_the_coded_frames_come_first_and_red_first(pairs):
    for index, (onset, apex) in enumerate([(0, 56), (3, 4)]):
        found = pairs.centre(index)
        np.testing.assert_array_equal(found[0], shown(onset))
        np.testing.assert_array_equal(found[1], shown(apex))
    np.testing.assert_array_equal(pairs.onsets[0][2], shown(2))
    np.testing.assert_array_equal(pairs.apexes[0][1], shown(55))


def test_every_pair_of_frames_is_drawn_as_often(pairs):
    names = {shown(n).tobytes(): n for n in (0, 1, 2, 54, 55, 56)}
    rng = np.random.default_rng(1)
    drawn_pairs = Counter(tuple(names[crop.tobytes()] for crop in pairs.draw(0, rng)) for _ in range(450))
    assert set(drawn_pairs) == {(onset, apex) for onset in (0, 1, 2) for apex in (54, 55, 56)}
    assert min(drawn_pairs.values()) > 25
    again = [pairs.draw(0, np.random.default_rng(5))[0] for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_a_subset_keeps_the_order_asked_for(pairs):
    turned = pairs.subset(np.array([1, 0]))
    assert turned.key.tolist() == pairs.key.tolist()[::-1]
    assert turned.class_names == pairs.class_names
    np.testing.assert_array_equal(turned.centre(0)[1], pairs.centre(1)[1])
    chosen = pairs.subset(pairs.subject == "casme2/1")
    assert (len(chosen), chosen.onsets[0].shape[0]) == (1, 3)


def test_several_data_sets_become_one(folder, tmp_path):
    prepare(drawn_samples(tmp_path / "data", 2, dataset="smic_hs", label="positive"), tmp_path / "smic", crops="as-is")
    both = load_prepared([folder, tmp_path / "smic"], COMPOSITE)
    assert both.dataset.tolist() == ["casme2"] * 3 + ["smic_hs"] * 2
    assert [both.class_names[label] for label in both.label] == ["negative", "surprise", "negative"] + ["positive"] * 2
    assert len(set(both.subject.tolist())) == 4


def test_a_fold_leaves_a_person_out_with_all_cameras_that_filmed_them(tmp_path):
    cameras = ("smic_hs", "smic_vis", "smic_nir")
    for name in cameras:
        prepare(drawn_samples(tmp_path / "data", 2, dataset=name, label="positive"), tmp_path / name, crops="as-is")
    pairs = load_prepared([tmp_path / name for name in cameras], COMPOSITE)
    folds = make_folds(PROTOCOLS["loso"], pairs.subject, pairs.dataset)
    assert [fold.name for fold in folds] == ["smic_0", "smic_1"]
    assert [pairs.dataset[fold.test].tolist() for fold in folds] == [list(cameras)] * 2


def test_a_table_is_read_back_as_it_was_written(samples, folder):
    found = read_table(folder)
    assert [row.sample.key for row in found] == [sample.key for sample in samples]
    assert found[0].sample.offset == 56
    assert found[0].apex_frames == (56, 55, 54)
    assert found[0].sample.action_units == "12"


def test_samples_without_crops_take_no_part(samples, data, tmp_path, caplog):
    lost = write_sample(data / "lost", {1: drawn(1), 2: drawn(2)}, onset=1, apex=2)
    lost.frames[2].write_bytes(b"no picture")
    prepare([*samples, lost], tmp_path / "out", crops="as-is")
    assert len(load_prepared([tmp_path / "out"], FIVE)) == 2
    assert "lost" in caplog.text


def test_a_folder_without_a_sample_of_the_protocol_is_named(folder, tmp_path, caplog):
    prepare(drawn_samples(tmp_path / "data", 2, dataset="samm"), tmp_path / "samm", crops="as-is")
    assert len(load_prepared([folder, tmp_path / "samm"], FIVE)) == 2
    assert f"{tmp_path / 'samm'}: no sample has a class in the protocol casme2_5class" in caplog.text


def test_a_folder_that_is_not_prepared_is_refused(folder, tmp_path):
    for path in (tmp_path, tmp_path / "absent", folder / "samples.csv"):
        with pytest.raises(DataError, match=r"not a prepared data set.*mmnet prepare"):
            load_prepared([path], FIVE)


def test_an_unfinished_folder_is_refused(folder, tmp_path):
    text = (folder / "samples.csv").read_text()
    (tmp_path / "samples.csv").write_text(text.replace(",as-is,ok", ",as-is,not cut yet", 1))
    with pytest.raises(DataError, match=r"lacks 1 samples: run mmnet prepare"):
        load_prepared([tmp_path], FIVE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("onset,apex", "apex,onset", "other columns"),
        (",0,56,", ",zero,56,", "damaged"),
        (",12,0;1;2,", ",12", "damaged"),
    ],
)
def test_a_damaged_table_is_refused(folder, tmp_path, old, new, message):
    text = (folder / "samples.csv").read_text()
    assert old in text
    (tmp_path / "samples.csv").write_text(text.replace(old, new))
    with pytest.raises(DataError, match=rf"samples\.csv.*{message}"):
        load_prepared([tmp_path], FIVE)


def test_crops_of_different_recipes_are_not_mixed(folder, tmp_path):
    text = (folder / "samples.csv").read_text()
    (tmp_path / "samples.csv").write_text(text.replace("as-is", "other recipe"))
    with pytest.raises(DataError, match=r"cut in different ways .*as-is.*other recipe.*same --crops"):
        load_prepared([folder, tmp_path], FIVE)


def test_the_same_folder_twice_is_refused(folder):
    with pytest.raises(DataError, match=r"casme2/1/long/0 is in 2 of the folders"):
        load_prepared([folder, folder], FIVE)


def test_a_protocol_that_fits_no_sample_is_refused(folder):
    with pytest.raises(
        DataError, match=r"samm_3class.*casme2: disgust \(1\), casme2: fear \(1\), casme2: surprise \(1\)"
    ):
        load_prepared([folder], CLASS_PROTOCOLS["samm_3class"])


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG", cv2.imencode(".png", drawn(1))[1].tobytes()])
def test_a_damaged_crop_is_named(samples, tmp_path, content):
    prepare(samples, tmp_path, crops="as-is")
    path = crop_folder(tmp_path, samples[1].key) / "apex-4.png"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"apex-4\.png is missing or damaged\. Delete its folder"):
        load_prepared([tmp_path], FIVE)

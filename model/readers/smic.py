"""SMIC (Li et al., FG 2013): no coding file; labels are folder names, and a clip is exactly one movement."""

from __future__ import annotations

import re
from pathlib import Path

from app.errors import DataError
from model.annotations import Annotations, Note, Sample
from model.coding_sheet import subject_number
from model.frame_index import child, index_frames, subfolders
from model.readers.assembly import DROPPED, REPAIRED
from model.readers.layout import trees_of

_CLASSES = ("negative", "positive", "surprise")
_SUBJECT = r"s\d+"
_CAMERAS = ("hs", "vis", "nir")


def read_smic_hs(root: Path, *, prefers_crops: bool) -> Annotations:
    """SMIC of the high-speed camera, 100 frames a second."""
    return _read("smic_hs", root, prefers_crops)


def read_smic_vis(root: Path, *, prefers_crops: bool) -> Annotations:
    """SMIC of the ordinary colour camera, 25 frames a second."""
    return _read("smic_vis", root, prefers_crops)


def read_smic_nir(root: Path, *, prefers_crops: bool) -> Annotations:
    """SMIC of the near-infrared camera, 25 frames a second."""
    return _read("smic_nir", root, prefers_crops)


def _read(dataset: str, root: Path, prefers_crops: bool) -> Annotations:
    """`SMIC_all_raw/HS/s1/micro/negative/s1_ne_01/image036237.bmp`, or the cropped tree.

    The first file is the onset and the last one the offset: the numbers are the camera's own. The apex is not coded.
    """
    tree = _find_tree(dataset, root, prefers_crops)
    samples, notes = [], []
    for subject in subfolders(tree):
        # Clips without a movement lie beside those with one, in non_micro.
        micro = child(subject, "micro") if re.fullmatch(_SUBJECT, subject.name, re.IGNORECASE) else None
        folders = subfolders(micro) if micro else []
        for emotion in [folder for folder in folders if folder.name.lower() in _CLASSES]:
            for clip in subfolders(emotion):
                number, frames = subject_number(subject.name), index_frames(clip)
                numbers = list(frames)
                if len(numbers) < 2:
                    notes.append(Note(f"{dataset}/{number}/{clip.name}", DROPPED, "it has fewer than two images"))
                    continue
                apex = numbers[max((len(numbers) - 1) // 2, 1)]
                key_frames = (numbers[0], apex, numbers[-1])
                samples.append(Sample(dataset, number, clip.name, *key_frames, emotion.name.lower(), "", frames))
    if not samples:
        raise DataError(f"{tree} has no clips in {_SUBJECT}/micro/{{{','.join(_CLASSES)}}}/. Unpack the images there.")
    notes.insert(0, Note(dataset, REPAIRED, "no apex is coded: the middle frame of every clip is taken"))
    return Annotations(dataset, tree, tuple(samples), tuple(notes))


def _find_tree(dataset: str, root: Path, prefers_crops: bool) -> Path:
    """The folder with the subjects of one camera, whole frames before crops unless these are preferred."""
    camera = dataset.removeprefix("smic_")
    found = []
    for tree in trees_of(root, _SUBJECT):
        subjects = [folder for folder in subfolders(tree) if re.fullmatch(_SUBJECT, folder.name, re.IGNORECASE)]
        if any(child(subject, "micro") for subject in subjects):
            # The folder nearest to the subjects says which camera; one that was named by the user need not say it.
            parts = reversed([root.name, *tree.relative_to(root).parts])
            named = [c for part in parts for c in _CAMERAS if c in re.split(r"[\W_]", part.lower())]
            if not named or named[0] == camera:
                is_cropped = "crop" in str(tree.relative_to(root)).lower()
                found.append((not named, is_cropped != prefers_crops, str(tree), tree))
    if not found:
        raise DataError(
            f"{root} has no SMIC of the camera {camera.upper()}: {camera.upper()}/s1/micro/negative/s1_ne_01/ with "
            f"images is expected there, at most 6 folders deep. Unpack the images there."
        )
    return min(found)[-1]

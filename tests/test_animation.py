"""Animating the portrait: movements where and as large as asked, lids, eyeballs, lips, and nothing else in motion."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from app.capture.demo import demo_portrait
from app.datatypes import Frame
from app.errors import FaceError
from app.face import topology
from app.face.action_units import ACTION_UNITS, mirrored
from app.face.animation import Anatomy, FaceAnimator
from app.face.tracker import FaceTracker

CORNERS = [61, 291]  # of the mouth: the person's right, left
INNER_BROW, OUTER_BROW, MOUTH_CORNER = (107, 66), (105, 63), (61,)
# Where each unit shows on the person's right, and which way it goes there: outward from the midline and down.
FACS = {
    "1": (INNER_BROW, (0, -1)),
    "2": (OUTER_BROW, (0, -1)),
    "4": (INNER_BROW, (-0.6, 0.8)),
    "6": ((50, 117), (0, -1)),
    "7": ((144, 145, 153), (0, -1)),
    "9": ((129, 203), (0, -1)),
    "10": ((37, 39), (0, -1)),
    "12": (MOUTH_CORNER, (0.7, -0.7)),
    "14": (MOUTH_CORNER, (1, 0)),
    "15": (MOUTH_CORNER, (0, 1)),
    "17": ((199, 200), (0, -1)),
    "20": (MOUTH_CORNER, (1, 0.2)),
    "23": (MOUTH_CORNER, (-1, 0)),
    "24": ((0, 37), (0, 1)),
    "25": ((17, 84), (0, 1)),
    "26": ((199, 200), (0, 1)),
}
UPPER_FACE, LOWER_FACE = ("1", "2", "4", "5"), ("10", "12", "14", "15", "17", "20", "23", "24", "25", "26")


@pytest.fixture(scope="module")
def animator() -> FaceAnimator:
    return FaceAnimator(*demo_portrait())


@pytest.fixture(scope="module")
def landmarks_px() -> np.ndarray:
    return demo_portrait()[1]


@pytest.fixture(scope="module")
def tracker() -> Iterator[FaceTracker]:
    with FaceTracker(static=True) as tracker:
        yield tracker


def track(tracker: FaceTracker, image_bgr: np.ndarray):
    face = tracker.track(Frame(0, 0, image_bgr[:480, 100:740]))
    assert face is not None
    return face


def filled(landmarks_px: np.ndarray, contour: tuple[int, ...], spare_px: int = 0) -> np.ndarray:
    """The inside of a contour and some pixels around it, (973, 973) bool."""
    mask = np.zeros((973, 973), np.uint8)
    cv2.fillPoly(mask, [np.rint(landmarks_px[list(contour), :2]).astype(np.int32)], 1)
    return cv2.dilate(mask, np.ones((2 * spare_px + 1, 2 * spare_px + 1))).astype(bool)


def test_portrait_at_rest_is_left_as_it_is(animator: FaceAnimator) -> None:
    np.testing.assert_array_equal(animator.render({}), animator.image_bgr)


@pytest.mark.parametrize("name", ACTION_UNITS)
def test_unit_reaches_its_peak_and_leaves_the_background_alone(animator: FaceAnimator, name: str) -> None:
    rows, columns = np.mgrid[0:972:2, 0:972:2]
    everywhere = np.column_stack([columns.ravel(), rows.ravel()])
    moved_px = np.linalg.norm(animator.displacement_px({name: 0.03}, everywhere), axis=1)
    assert moved_px.max() == pytest.approx(0.03 * animator.inter_ocular_px, rel=0.04)
    at_rest = (moved_px == 0).reshape(rows.shape)
    assert at_rest[rows < 20].all()
    assert at_rest[rows > 400].all()
    assert at_rest[(columns < 250) | (columns > 620)].all()


@pytest.mark.parametrize("name", ACTION_UNITS)
def test_no_pixel_off_the_face_changes(animator: FaceAnimator, landmarks_px: np.ndarray, name: str) -> None:
    face = filled(landmarks_px, topology.FACE_OVAL, round(0.25 * animator.inter_ocular_px))
    changed = (animator.render({name: 0.03}, anatomy=Anatomy(seed=5)) != animator.image_bgr).any(axis=2)
    assert changed[face].any()
    assert not changed[~face].any()


@pytest.mark.parametrize("name", FACS)
def test_unit_goes_its_way_on_both_sides(animator: FaceAnimator, landmarks_px: np.ndarray, name: str) -> None:
    indices, (outward, downward) = FACS[name]
    for side, sign in (("R", -1), ("L", 1)):
        shown = landmarks_px[list(mirrored(indices) if side == "L" else indices), :2]
        moved = animator.displacement_px({name: 0.03}, shown).mean(axis=0) / (0.03 * animator.inter_ocular_px)
        length = np.linalg.norm(moved)
        assert length > 0.35
        # The portrait's head leans by a few degrees.
        assert moved @ (sign * outward, downward) / np.hypot(outward, downward) > 0.8 * length


def test_upper_and_lower_face_move_apart(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    negligible_px = 0.03 * 0.03 * animator.inter_ocular_px
    for name in UPPER_FACE:
        assert np.abs(animator.displacement_px({name: 0.03}, landmarks_px[[*CORNERS, 17], :2])).max() < negligible_px
    for name in LOWER_FACE:
        brows = landmarks_px[list(topology.RIGHT_BROW + topology.LEFT_BROW), :2]
        assert np.abs(animator.displacement_px({name: 0.03}, brows)).max() < negligible_px


@pytest.mark.parametrize("name", ["1", "2", "4", "6", "7", "9", "10", "12", "14", "15", "20"])
def test_one_sided_movement_stays_on_its_side(animator: FaceAnimator, landmarks_px: np.ndarray, name: str) -> None:
    right_px = landmarks_px[list(FACS[name][0]), :2]
    left_px = landmarks_px[list(mirrored(FACS[name][0])), :2]
    right, left = (
        np.linalg.norm(animator.displacement_px({name + "L": 0.03}, points), axis=1).mean()
        for points in (right_px, left_px)
    )
    # Inner brows and nose wings lie side by side, and skin is one.
    assert right < 0.25 * left
    assert left > 0.35 * 0.03 * animator.inter_ocular_px


@pytest.mark.parametrize("anatomy", [Anatomy(), Anatomy(seed=1), Anatomy(seed=2)])
def test_skin_does_not_fold(animator: FaceAnimator, landmarks_px: np.ndarray, anatomy: Anatomy) -> None:
    rows, columns = np.mgrid[0:420:3, 240:630:3]
    points = np.column_stack([columns.ravel(), rows.ravel()])
    # Lids cover eyeballs and lips part: there, and only there, the warp is not smooth.
    openings = (topology.RIGHT_EYE, topology.LEFT_EYE, topology.INNER_LIPS)
    is_skin = ~np.any([filled(landmarks_px, contour, 6)[rows, columns] for contour in openings], axis=0)
    for name in ACTION_UNITS:
        moved_px = animator.displacement_px({name: 0.03}, points, anatomy=anatomy).reshape(*rows.shape, 2)
        by_y, by_x = np.gradient(moved_px / 3, axis=(0, 1))
        determinant = (1 - by_x[..., 0]) * (1 - by_y[..., 1]) - by_y[..., 0] * by_x[..., 1]
        assert determinant[is_skin].min() > 0.4, name


def test_anatomy_is_the_same_for_the_same_seed_only(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    units, points = {"12": 0.02, "4": 0.01}, landmarks_px[:, :2]
    first, second = (Anatomy.drawn(np.random.default_rng(7)) for _ in range(2))
    assert first == second
    moved = animator.displacement_px(units, points, anatomy=first)
    np.testing.assert_array_equal(FaceAnimator(*demo_portrait()).displacement_px(units, points, anatomy=second), moved)
    textbook = animator.displacement_px(units, points)
    other = animator.displacement_px(units, points, anatomy=Anatomy(seed=8))
    tenth_px = 0.1 * 0.02 * animator.inter_ocular_px
    assert np.abs(other - moved).max() > tenth_px
    assert np.abs(textbook - moved).max() > tenth_px
    slight = animator.displacement_px(units, points, anatomy=Anatomy(first.seed, spread=0.01))
    assert np.abs(slight - textbook).max() < 0.2 * np.abs(moved - textbook).max()


def test_drawn_muscles_still_pull_their_way(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    corner_px = landmarks_px[[291], :2]
    angles_deg = []
    for seed in range(20):
        x, y = animator.displacement_px({"12": 0.03}, corner_px, anatomy=Anatomy(seed))[0]
        angles_deg.append(np.degrees(np.arctan2(-y, x)))
    assert min(angles_deg) > 5
    assert max(angles_deg) < 85
    assert np.ptp(angles_deg) > 15


def test_pixels_move_as_far_as_scripted(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    before, after = (cv2.cvtColor(animator.render(units), cv2.COLOR_BGR2GRAY) for units in ({}, {"1": 0.02, "2": 0.02}))
    brow = landmarks_px[[105, 66, 296, 334], :2]
    found, status, _ = cv2.calcOpticalFlowPyrLK(before, after, brow, None, winSize=(15, 15))
    assert status.all()
    np.testing.assert_allclose(found - brow, animator.displacement_px({"1": 0.02, "2": 0.02}, brow), atol=0.6)


def test_tracker_sees_the_smile(animator: FaceAnimator, tracker: FaceTracker) -> None:
    units = {"12": 0.06}
    before, after = (track(tracker, animator.render(u)).landmarks_px[CORNERS, :2] for u in ({}, units))
    scripted = animator.displacement_px(units, before + np.array([100, 0]))
    np.testing.assert_allclose(after - before, scripted, atol=2.5)


def test_lids_shut_and_open(animator: FaceAnimator, tracker: FaceTracker) -> None:
    opening = [track(tracker, animator.render({}, eye_closure=c)).eye_opening for c in (0.0, 0.5, 1.0)]
    assert opening[0] > opening[1] > opening[2]
    assert opening[2] < 0.5 * opening[0]
    assert track(tracker, animator.render({"5": 0.04})).eye_opening > opening[0]


def test_each_eye_shuts_by_itself(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    changed = (animator.render({}, eye_closure=(0.0, 1.0)) != animator.image_bgr).any(axis=2)
    assert changed[filled(landmarks_px, topology.LEFT_EYE)].mean() > 0.8
    assert not changed[filled(landmarks_px, topology.RIGHT_EYE)].any()


def test_nothing_pops_when_lids_eyeballs_or_lips_begin_to_move(animator: FaceAnimator) -> None:
    for begun in (animator.render({"5": 2e-4, "7": 2e-4, "25": 2e-4}), animator.render({}, gaze_deg=(0.1, -0.1))):
        assert cv2.absdiff(begun, animator.image_bgr).max() <= 6


@pytest.mark.parametrize(("gaze_deg", "axis"), [((12, 0), 0), ((-12, 0), 0), ((0, 12), 1), ((0, -12), 1)])
def test_irises_turn_and_the_skin_beside_them_does_not(
    animator: FaceAnimator, landmarks_px: np.ndarray, gaze_deg: tuple[float, float], axis: int
) -> None:
    looking = animator.render({}, gaze_deg=gaze_deg)
    for centre, contour in ((468, topology.RIGHT_EYE), (473, topology.LEFT_EYE)):
        box = [slice(int(v) - 3, int(v) + 4) for v in landmarks_px[centre, 1::-1]]
        pupil = animator.image_bgr[tuple(box)]
        scores = cv2.matchTemplate(looking[box[0].start - 6 : box[0].stop + 6, box[1].start - 6 : box[1].stop + 6],
                                   pupil, cv2.TM_SQDIFF)  # fmt: skip
        moved_px = np.array(cv2.minMaxLoc(scores)[2]) - 6
        # 12° of an eyeball of 12 mm are 2.5 mm, 2.8 % of the distance between the outer eye corners.
        assert moved_px[axis] == pytest.approx(np.sign(gaze_deg[axis]) * 3.2, abs=1.3)
        around = filled(landmarks_px, contour, 25) & ~filled(landmarks_px, contour, 19)
        assert cv2.absdiff(looking, animator.image_bgr)[around].max() <= 2


def test_lips_part_over_darkness_without_being_stretched(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    upper, lower = landmarks_px[[0, 37, 267], :2], landmarks_px[[17, 84, 314], :2]
    units = {"25": 0.06}
    travel_px = 0.06 * animator.inter_ocular_px
    assert np.abs(animator.displacement_px(units, upper)).max() < 0.05 * travel_px
    assert animator.displacement_px(units, lower)[:, 1].min() > 0.75 * travel_px
    x, y = landmarks_px[14, :2]
    gap = (slice(round(y), round(y + 0.8 * travel_px)), slice(round(x) - 8, round(x) + 9))
    assert animator.render(units)[gap].mean() < 0.6 * animator.image_bgr[gap].mean()


def test_head_motion_is_composed_into_the_same_warp(animator: FaceAnimator) -> None:
    shift = np.array([(1.0, 0, 7), (0, 1, -4)])
    still = animator.render({"12": 0.03, "4": 0.02})
    moved = animator.render({"12": 0.03, "4": 0.02}, frame_from_portrait=shift)
    difference = cv2.absdiff(moved[20:-20, 20:-20], np.roll(still, (-4, 7), (0, 1))[20:-20, 20:-20])
    assert difference.max() <= 2


@pytest.mark.parametrize("scale", [0.25, 0.4, 0.7])
def test_a_distant_face_is_averaged_and_not_thinned_out(animator: FaceAnimator, scale: float) -> None:
    units = {"12": 0.04, "25": 0.02}
    side = round(973 * scale)
    centred = np.array([(scale, 0, (scale - 1) / 2), (0, scale, (scale - 1) / 2)])
    small = animator.render(units, frame_from_portrait=centred, size=(side, side))
    averaged = cv2.resize(animator.render(units), (side, side), interpolation=cv2.INTER_AREA)
    error, thinned = (
        cv2.absdiff(image, averaged).astype(float)[4:-4, 4:-4].mean()
        for image in (small, cv2.resize(animator.render(units), (side, side), interpolation=cv2.INTER_NEAREST))
    )
    assert error < 0.5 * thinned


def test_detail_of_a_clip_stays_the_same_when_its_scale_changes(animator: FaceAnimator) -> None:
    def sharpness(scale: float, detail_scale: float | None) -> float:
        # Sharpness also depends on where pixels fall between those of the portrait: the mean over places does not.
        transforms = [np.array([(scale, 0, x), (0, scale, y)]) for x in (0, 0.25, 0.5, 0.75) for y in (0, 0.5)]
        frames = [
            animator.render({}, frame_from_portrait=transform, size=(400, 400), detail_scale=detail_scale)
            for transform in transforms
        ]
        return float(np.mean([cv2.Laplacian(frame[4:160, 104:260], cv2.CV_64F).std() for frame in frames]))

    step = 2**-0.75  # a level of the portrait ends here
    jump, without = (abs(sharpness(step + 0.002, d) / sharpness(step - 0.002, d) - 1) for d in (None, step))
    assert without < 0.5 * jump


def test_around_a_small_portrait_there_is_no_second_face(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    transform = np.array([(0.65, 0, 60), (0, 0.65, 45.0)])
    frame = animator.render({}, frame_from_portrait=transform, size=(640, 480))
    assert (np.abs(np.diff(frame[:, :55].astype(int), axis=1)) <= 1).all()
    with FaceTracker(static=True) as tracker:
        face = tracker.track(Frame(0, 0, frame))
    assert face.face_count == 1
    nose_px = landmarks_px[4, :2] * 0.65 + (60, 45)
    assert np.linalg.norm(face.landmarks_px[4, :2] - nose_px) < 3


def test_turning_the_head_moves_the_nose_more_than_the_outline(animator: FaceAnimator, tracker: FaceTracker) -> None:
    still, turned = (track(tracker, animator.render({}, turn_deg=turn)) for turn in ((0, 0), (4, 0)))
    moved_px = (turned.landmarks_px - still.landmarks_px)[:, 0]
    assert moved_px[4] > 2
    assert moved_px[4] > 2 * abs(moved_px[[234, 454]].mean())
    assert turned.pose.yaw_deg > still.pose.yaw_deg


def test_lids_shut_where_a_turn_has_brought_the_eyes(animator: FaceAnimator, tracker: FaceTracker) -> None:
    still, shut = (track(tracker, animator.render({}, turn_deg=(6, 6), eye_closure=c)) for c in (0.0, 1.0))
    assert shut.eye_opening < 0.5 * still.eye_opening


def test_frown_darkens_the_furrow_between_the_brows(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    x, y = np.rint(landmarks_px[[9, 107, 8, 55], :2].mean(axis=0)).astype(int)
    furrow = (slice(y - 4, y + 5), slice(x - 1, x + 2))
    before, after = (animator.render(units)[furrow].mean() for units in ({}, {"4": 0.03}))
    assert after < 0.97 * before
    without = animator.render({"4": 0.03}, crease_gain=0.0)[furrow].mean()
    assert without > after + 1


def test_unknown_units_and_unsuitable_landmarks_are_refused(landmarks_px: np.ndarray) -> None:
    image_bgr, _ = demo_portrait()
    with pytest.raises(FaceError, match="no action unit '99'"):
        FaceAnimator(image_bgr, landmarks_px).render({"99": 0.02})
    with pytest.raises(FaceError, match="no action unit '12R'"):
        FaceAnimator(image_bgr, landmarks_px).render({"12RL": 0.02})
    with pytest.raises(FaceError, match="478, 3"):
        FaceAnimator(image_bgr, landmarks_px[:468])
    with pytest.raises(FaceError, match="20 px"):
        FaceAnimator(image_bgr, landmarks_px / 10)

"""Landmark indices of MediaPipe's 478-point face mesh, by anatomy.

Left and right are the person's own (FACS convention); in an unmirrored picture the person's left is at image right.
"""

from __future__ import annotations

LANDMARK_COUNT = 478

RIGHT_EYE_OUTER, RIGHT_EYE_INNER = 33, 133
LEFT_EYE_OUTER, LEFT_EYE_INNER = 263, 362
FOREHEAD_TOP, CHIN_BOTTOM = 10, 152
EYE_CORNERS = ((RIGHT_EYE_OUTER, RIGHT_EYE_INNER), (LEFT_EYE_OUTER, LEFT_EYE_INNER))
RIGHT_IRIS, LEFT_IRIS = 468, 473  # centres
UPPER_LIP_INNER, LOWER_LIP_INNER = 13, 14

# Corner, two upper-lid points, corner, two lower-lid points, in the order of the eye aspect ratio
# (Soukupová & Čech 2016, eq. 1): p1 … p6.
RIGHT_EYE_RATIO = (33, 160, 158, 133, 153, 144)
LEFT_EYE_RATIO = (263, 387, 385, 362, 380, 373)

# What facial muscles move least: eye corners, nose bridge and ridge, the skin before the ears. Rigid head motion is
# measured here, robustly, because each expression still moves a few of them. The forehead and the outline are left out:
# smooth skin, hair and background, where a compressed picture drags behind the head.
STABLE = (
    33, 133, 362, 263, 130, 359, 243, 463, 112, 341,
    168, 6, 197, 195, 5, 4, 122, 351, 193, 417, 196, 419, 236, 456,
    127, 356,
)  # fmt: skip

# Where each movement shows best: landmarks on textured borders (brow hair, lid margin, lip line, nostril edge,
# nasolabial fold).
REGIONS: dict[str, tuple[int, ...]] = {
    "right inner brow": (107, 55, 66, 65, 108),
    "left inner brow": (336, 285, 296, 295, 337),
    "right outer brow": (105, 63, 70, 46, 53, 52),
    "left outer brow": (334, 293, 300, 276, 283, 282),
    "right upper lid": (158, 159, 160, 27, 28, 29),
    "left upper lid": (385, 386, 387, 257, 258, 259),
    "right lower lid": (144, 145, 153, 22, 23, 24),
    "left lower lid": (373, 374, 380, 252, 253, 254),
    "right nose wing": (129, 98, 64, 48, 102, 203, 49),
    "left nose wing": (358, 327, 294, 278, 331, 423, 279),
    "right cheek": (117, 118, 119, 50, 101, 205, 36),
    "left cheek": (346, 347, 348, 280, 330, 425, 266),
    "right mouth corner": (61, 57, 185, 146, 186, 76, 91),
    "left mouth corner": (291, 287, 409, 375, 410, 306, 321),
    "upper lip": (0, 37, 267, 39, 269, 164),
    "lower lip": (17, 84, 314, 181, 405, 18),
    "chin": (175, 199, 200, 201, 421, 208, 428),
}
REGION_NAMES = tuple(REGIONS)
BROW_REGIONS = frozenset(name for name in REGIONS if "brow" in name)
LID_REGIONS = frozenset(name for name in REGIONS if "lid" in name)
MOUTH_REGIONS = frozenset(name for name in REGIONS if "mouth" in name or "lip" in name or name == "chin")
# What neither blinks, speech nor raised brows move for long.
STEADY_REGIONS = frozenset(REGIONS) - BROW_REGIONS - LID_REGIONS - MOUTH_REGIONS

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
NOSE = (168, 6, 197, 195, 5, 4, 1, 19, 94, 2)

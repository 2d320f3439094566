"""Portraits that move muscle by muscle."""

from app.face.animation.anatomy import Anatomy
from app.face.animation.animator import FaceAnimator
from app.face.animation.smile import SmileMorph

__all__ = ["Anatomy", "FaceAnimator", "SmileMorph"]

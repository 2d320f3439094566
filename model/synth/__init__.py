"""Synthetic micro-expressions: portraits moved by muscle, filmed by an imagined webcam, cut by the real front end.

people → movements → scene → camera → pairs (crops to train on) and clips (videos to spot in).
"""

from model.synth.command import main

__all__ = ["main"]

"""Real-time micro-expression detector: capture, track, spot, recognise, show."""

__version__ = "0.1.0"

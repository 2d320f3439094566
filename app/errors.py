"""Expected failures. Each message says what happened and what to do about it.

Whatever is not one of these is a bug: the command line shows a traceback, the viewer a dialog.
"""


class MmnetError(Exception):
    """Base of every expected failure; the command line prints it and exits with a code ≠ 0."""


class SourceError(MmnetError):
    """A source of frames cannot be opened or read."""


class TruncatedSourceError(SourceError):
    """A source ended before its own end: what was readable has been delivered."""


class CameraError(SourceError):
    """A camera is absent, busy, or vanished during use."""


class ModelError(MmnetError):
    """A network file is missing, damaged, or not one of ours."""


class DeviceError(MmnetError):
    """The requested compute device cannot be used."""


class OutputError(MmnetError):
    """Results cannot be written where they were asked for."""


class SessionError(MmnetError):
    """A session folder cannot be read, or what is asked of it does not fit it."""


class EngineError(MmnetError):
    """What works on many inputs at once cannot be used, or lost one of them."""


class DisplayError(MmnetError):
    """A window cannot be opened on this machine."""


class SettingsError(MmnetError):
    """Settings cannot be read or saved."""


class FaceError(MmnetError):
    """A picture that must show one usable face does not."""


class DataError(MmnetError):
    """Training data are missing, damaged, or would leak from one set into another."""

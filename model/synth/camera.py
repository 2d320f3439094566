"""What a webcam makes of a picture: exposure, white balance, blur, noise, sharpening, JPEG or H.264."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np


@dataclass(frozen=True, slots=True)
class Conditions:
    """How people are filmed. `inter_ocular_px` and `noise_sd` (grey levels) are ranges; `yaw_deg` is added to all."""

    inter_ocular_px: tuple[float, float] = (42.0, 180.0)
    noise_sd: tuple[float, float] = (0.4, 4.5)
    yaw_deg: float = 0.0


CONDITIONS = {
    "webcam": Conditions(),
    "small": Conditions(inter_ocular_px=(44.0, 50.0)),  # a face about 80 px wide
    "noisy": Conditions(noise_sd=(5.0, 7.0)),
    "turned": Conditions(yaw_deg=15.0),
}


class Camera:
    """One camera with its own light, lens and compression, drawn once; the noise is drawn for every frame."""

    def __init__(self, conditions: Conditions, rng: np.random.Generator) -> None:
        self._rng = rng
        gain, gamma = rng.uniform(0.7, 1.15), np.exp(rng.normal(0, 0.16))
        tint = rng.uniform(0.92, 1.08, 3)
        self._levels = 255 * (np.arange(256)[:, None] / 255) ** gamma * gain * tint  # (256, 3)
        self._blur = rng.uniform(0.3, 1.4) if rng.random() < 0.6 else 0.0
        self._noise_sd = float(np.exp(rng.uniform(*np.log(conditions.noise_sd))))
        self._grain = rng.uniform(0, 0.9)  # demosaicing leaves the noise of neighbouring pixels related
        self._sharpening = rng.uniform(0.2, 1.2) if rng.random() < 0.35 else 0.0
        self._flicker = rng.uniform(0, 0.006)
        kind = rng.random()
        self.compression = "none" if kind < 0.15 else "jpeg" if kind < 0.5 else "h264"
        self.jpeg_quality = int(rng.integers(60, 97))
        self.crf = int(rng.integers(18, 33))

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise before compression, grey levels."""
        return self._noise_sd

    def expose(self, image_bgr: np.ndarray, light: float) -> np.ndarray:
        """What the sensor delivers of (H, W, 3) uint8 under relative light, uncompressed, uint8."""
        light *= 1 + self._rng.normal(0, self._flicker)
        if self._blur:
            image_bgr = cv2.GaussianBlur(image_bgr, (0, 0), self._blur)
        table = np.clip(self._levels * light, 0, 255).astype(np.float32)
        exposed = cv2.LUT(image_bgr, np.ascontiguousarray(table[None]))
        # Photons: the noise of bright pixels is larger.
        cv2.setRNGSeed(int(self._rng.integers(2**31)))
        noise = np.empty(exposed.shape, np.float32)
        cv2.randn(noise, 0, self._noise_sd)
        if self._grain > 0.3:
            noise = cv2.GaussianBlur(noise, (0, 0), self._grain) * np.float32(1 + 1.6 * self._grain**1.5)
        exposed += noise
        if self._sharpening:
            exposed += np.float32(self._sharpening) * (exposed - cv2.GaussianBlur(exposed, (0, 0), 1.2))
        return cv2.convertScaleAbs(np.maximum(exposed, 0))

    def compress(self, frames_bgr: Sequence[np.ndarray], fps: float = 30.0) -> list[np.ndarray]:
        """Consecutive frames after compression and decompression; H.264 predicts each from the one before."""
        if self.compression == "none":
            return list(frames_bgr)
        if self.compression == "jpeg":
            options = [cv2.IMWRITE_JPEG_QUALITY, self.jpeg_quality]
            return [cv2.imdecode(cv2.imencode(".jpg", f, options)[1], cv2.IMREAD_COLOR) for f in frames_bgr]
        return _through_h264(frames_bgr, self.crf, fps)


def _through_h264(frames_bgr: Sequence[np.ndarray], crf: int, fps: float) -> list[np.ndarray]:
    height, width = frames_bgr[0].shape[:2]
    encoder = h264_encoder(width, height, crf, fps)
    decoder = av.CodecContext.create("h264", "r")
    packets = [p for index, frame in enumerate(frames_bgr) for p in encoder.encode(video_frame(frame, index))]
    packets += encoder.encode(None)
    decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return [frame.to_ndarray(format="bgr24") for frame in decoded]


def h264_encoder(width: int, height: int, crf: int, fps: float) -> av.VideoCodecContext:
    """libx264 as webcam programs use it: quick, without look-ahead, one thread so that results repeat."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    rate = Fraction(fps).limit_denominator(1001)
    encoder.time_base, encoder.framerate = 1 / rate, rate
    encoder.options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency", "threads": "1"}
    return encoder


def video_frame(image_bgr: np.ndarray, index: int) -> av.VideoFrame:
    """A frame for the encoder, at its place in time."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_bgr), format="bgr24").reformat(format="yuv420p")
    frame.pts = index
    return frame

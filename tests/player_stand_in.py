"""A system that needs no training: the jaw follows the loudness, the emotion bends the face. For the player's tests."""

import os
from pathlib import Path

import numpy as np

from lib.face.topology import Topology

FPS = 25.0
RINGS, SIDES = 24, 32


def ball() -> tuple[np.ndarray, Topology]:
    """A ball of 100 mm radius whose landmarks 62 and 66 stand in front, and its topology."""
    latitude = np.linspace(np.pi, 0, RINGS)[:, None]
    longitude = 2 * np.pi * np.arange(SIDES)[None] / SIDES
    x, y, z = np.sin(latitude) * np.sin(longitude), np.cos(latitude), np.sin(latitude) * np.cos(longitude)
    vertices = 100 * np.stack(np.broadcast_arrays(x, y, z), -1).reshape(-1, 3).astype(np.float32)
    landmarks = np.full(68, SIDES * 12)
    landmarks[62], landmarks[66] = SIDES * 10, SIDES * 8
    parts = {"skin": np.arange(len(vertices)), "lips": np.arange(SIDES * 8, SIDES * 10)}
    return vertices, Topology("ball", _grid_faces(), {}, landmarks, 354.0, parts)


def _grid_faces() -> np.ndarray:
    row, side = np.meshgrid(np.arange(RINGS - 1), np.arange(SIDES), indexing="ij")
    a, b = row * SIDES + side, row * SIDES + (side + 1) % SIDES
    c, d = a + SIDES, b + SIDES
    triangles = np.stack([np.stack([a, b, d], -1), np.stack([a, d, c], -1)])
    return triangles.reshape(-1, 3).astype(np.int32)


def murmur(seconds: float = 2.0) -> np.ndarray:
    """A tone of 150 Hz that swells three times a second."""
    time_s = np.arange(int(16000 * seconds)) / 16000
    return (0.4 * np.sin(2 * np.pi * 150 * time_s) * np.sin(np.pi * 3 * time_s) ** 2).astype(np.float32)


class StandIn:
    """Obeys lib.player.Animator."""

    emotions = ("happy", "sad")
    speakers = ()
    fps = FPS

    def __init__(self):
        self.rest, self.topology = ball()
        self.clips = [("murmur", murmur()), ("short murmur", murmur(1.0))]
        self.calls = 0

    def animate(self, audio, emotion, alpha, speaker=None):
        self.calls += 1
        frames = int(len(audio) / 16000 * FPS + 1e-6)
        level = np.abs(audio[: frames * 640]).reshape(frames, 640).mean(1)
        side = alpha * {"happy": 1.0, "sad": -1.0}[emotion]
        low, across = np.minimum(self.rest[:, 1], 0) / 100, (self.rest[:, 0] / 100) ** 2
        offsets = 40 * level[:, None] * low[None] + 15 * side * across[None]                       # (T, V) upwards
        return self.rest + offsets[..., None] * np.float32([0, 1, 0])


def animator(scale: str, seed: int) -> StandIn:
    """Called through lib.player.load("player_stand_in:animator", ...)."""
    return StandIn()


class PuppetStandIn(StandIn):
    """The same rules on the puppet's head: a face to look at."""

    emotions = ("happy", "angry", "sad")
    shapes = {
        "happy": {"mouthSmile": 0.9, "cheekSquint": 0.7, "eyeSquint": 0.3},
        "angry": {"browDown": 1.0, "noseSneer": 0.5, "mouthPress": 0.3, "eyeSquint": 0.4},
        "sad": {"mouthFrown": 0.9, "browInnerUp": 0.9, "eyeLookDown": 0.3},
    }

    def __init__(self):
        from lib.puppet.head import head

        super().__init__()
        self.head, self.topology = head(), head().topology

    def animate(self, audio, emotion, alpha, speaker=None):
        from lib.face.rig import ARKIT, curves

        frames = int(len(audio) / 16000 * FPS + 1e-6)
        level = np.abs(audio[: frames * 640]).reshape(frames, 640).mean(1)
        recipe = {name: alpha * amount for control, amount in self.shapes[emotion].items()
                  for name in (control, f"{control}Left", f"{control}Right") if name in ARKIT}
        return self.head.vertices(curves(frames, jawOpen=2.0 * level, **recipe))


def puppet_in_sandbox(scale: str, seed: int) -> PuppetStandIn:
    """For notebook 07; moves the repository's root to $PLAYER_TEST_ROOT, so that a test overwrites no results."""
    import lib.paths

    lib.paths.ROOT = Path(os.environ["PLAYER_TEST_ROOT"])
    return PuppetStandIn()

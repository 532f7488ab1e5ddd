"""The player: a face that moves in sync with its sound, in a notebook, in a web app, and in one HTML file.

    animator  a trained system seen from outside (protocol `Animator`): sound, emotion and intensity in, vertices out
    Playground  the headless state: which system, clip, emotion, intensity, speaker, face; `scene()` computes
    export_html  the same player without a kernel; several intensities computed beforehand
    lib.player_widget  the Jupyter widgets on top: `FacePlayer` (anywidget) and `PlaygroundApp`

Why anywidget with a renderer of our own. K3D draws meshes well and keeps time series in the browser, but its clock is
its own: sound cannot lead it, and its bundle must be found by the page. PyVista with trame renders on a server: each
frame is a picture through a socket, two cores cannot hold 25 of them per second beside a model, and nothing is left
without a kernel. anywidget carries any JavaScript inside the notebook and needs no download at run time; with three.js
that would be 0.7 MB of general renderer for one mesh, one shader and one camera. Those are some 200 lines of WebGL2
(`player_assets/face_view.js`): software rendering draws them faster too, and one exported page stays small.

How motion travels. T frames of V vertices are sent as a mean shape, K basis rows in 16-bit integers and (T, K) float32
weights; K grows until every coordinate is within TOLERANCE_MM. A move of the slider mostly sends the weights alone,
some ten kilobytes, because the basis stays in the browser.
"""

import base64
import importlib
import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from lib.errors import InputError, InputWarning
from lib.face.topology import Topology
from lib.paths import find_asset, write_aside

ASSETS = Path(__file__).resolve().parent / "player_assets"
TOLERANCE_MM = 0.01
MAX_RANK = 192                                    # beyond it the basis is started afresh for the motion at hand
LEVELS = (0.0, 0.15, 0.3, 0.5, 0.7, 1.0, 1.3)     # the intensities of the study; above 1 is extrapolation
MAX_LEVEL = LEVELS[-1]
MAX_SECONDS = 30.0                                # a longer upload would keep the slider waiting for seconds
INNER_LIP_TOP, INNER_LIP_BOTTOM = 62, 66          # iBUG-68, counted from 0
GLOSS = {                                         # 0..255, how wet a part looks; skin elsewhere
    "lips": 95, "lip_inside": 130, "mouth": 0, "gums": 110, "teeth": 60, "tongue": 110, "sclera": 235, "iris": 255,
    "pupil": 255, "brows": 10, "lashes": 10,
}
SKIN_GLOSS = 40
INSIDE = ("mouth", "tongue", "gums", "teeth")
SHADOW_MM = 26.0                                  # light inside the mouth fades by 1/e over this depth behind the lips


class Animator(Protocol):
    """A trained system as the player sees it. `emotions` may be any named settings of it (styles, labels, axes)."""

    emotions: tuple[str, ...]
    speakers: tuple[str, ...]
    fps: float
    topology: Topology
    clips: Sequence[tuple[str, np.ndarray]]

    def animate(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | int | None = None) -> np.ndarray:
        """Vertices (T, V, 3) in mm for mono audio (N,) at 16 kHz, at intensity alpha in 0..1.3."""
        ...


ANIMATORS = {name: f"lib.experiments.{name}_animator:animator" for name in ("eavanet", "ecm", "emoface", "cfd", "vnet")}


def load(system: str, scale: str, seed: int = 0) -> Animator:
    """The animator of a system of `ANIMATORS`, or of any "module:function" called with scale and seed."""
    module, colon, function = ANIMATORS.get(system, system).partition(":")
    if not colon:
        known = ", ".join(ANIMATORS)
        raise InputError(f'system {system!r}: expected {known}, or "module:function" that returns an animator')
    return getattr(importlib.import_module(module), function)(scale, seed)


# Motion as a basis ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Basis:
    """Motion basis: vertices = mean + weights @ (scales * rows); mean (V, 3) mm, rows (K, 3V) int16, scales (K,)."""

    mean: np.ndarray
    rows: np.ndarray
    scales: np.ndarray

    @property
    def rank(self) -> int:
        """Number of rows K."""
        return len(self.scales)

    def project(self, vertices: np.ndarray) -> np.ndarray:
        """Weights (T, K) that come closest to vertices (T, V, 3), by least squares on the rounded rows."""
        rows = self.rows * self.scales[:, None]
        offsets = (vertices - self.mean).reshape(len(vertices), -1)
        return np.linalg.solve((rows @ rows.T).astype(float), (rows @ offsets.T).astype(float)).T.astype(np.float32)

    def restore(self, weights: np.ndarray) -> np.ndarray:
        """Vertices (T, V, 3) as the browser computes them."""
        return self.mean + (weights @ (self.rows * self.scales[:, None])).reshape(len(weights), *self.mean.shape)

    def error_mm(self, vertices: np.ndarray) -> float:
        """Largest difference of a coordinate after the round trip."""
        return float(np.abs(self.restore(self.project(vertices)) - vertices).max())


def fit_basis(vertices: np.ndarray, start: Basis | None = None) -> Basis:
    """A basis that holds the motion (T, V, 3) within TOLERANCE_MM: `start` itself, or extended, or a fresh one."""
    vertices = np.asarray(vertices, np.float32)
    if start is not None and start.error_mm(vertices) <= TOLERANCE_MM:
        return start
    grown = extend_basis(start or empty_basis(vertices), vertices)
    good = grown.rank <= MAX_RANK and grown.error_mm(vertices) <= TOLERANCE_MM
    return grown if good or start is None else fit_basis(vertices)


def empty_basis(vertices: np.ndarray) -> Basis:
    """The mean shape alone."""
    return Basis(vertices.mean(0), np.zeros((0, vertices[0].size), np.int16), np.zeros(0, np.float32))


def extend_basis(basis: Basis, vertices: np.ndarray) -> Basis:
    """`basis` with the fewest leading directions added of what it misses in `vertices`."""
    missed = (vertices - basis.restore(basis.project(vertices))).reshape(len(vertices), -1)
    _, directions = np.linalg.eigh((missed @ missed.T).astype(float))
    rows = directions.T[::-1].astype(np.float32) @ missed                              # strongest first, (T, 3V)
    rows = rows[np.abs(rows).max(1) > 0.1 * TOLERANCE_MM]                              # no frame needs more of a row
    low, high = 0, len(rows)
    while low < high:                                                                  # fewest rows by bisection
        middle = (low + high) // 2
        enough = join(basis, rows[:middle]).error_mm(vertices) <= 0.5 * TOLERANCE_MM
        low, high = (low, middle) if enough else (middle + 1, high)
    return join(basis, rows[:low])


def join(basis: Basis, rows: np.ndarray) -> Basis:
    """`basis` with float rows (k, 3V) appended, each rounded to 16 bits of its own largest value."""
    scales = (np.abs(rows).max(1) / 32767).astype(np.float32)
    rounded = np.round(rows / scales[:, None]).astype(np.int16)
    return Basis(basis.mean, np.concatenate([basis.rows, rounded]), np.concatenate([basis.scales, scales]))


def lip_opening(vertices: np.ndarray, topology: Topology) -> np.ndarray:
    """Distance of the inner lips' midpoints (landmarks 63 and 67 of 68), (T,) in mm; zeros where a mesh has none."""
    if len(topology.landmarks) < 68:
        return np.zeros(len(vertices), np.float32)
    top, bottom = topology.landmarks[[INNER_LIP_TOP, INNER_LIP_BOTTOM]]
    return np.linalg.norm(vertices[:, top] - vertices[:, bottom], axis=-1).astype(np.float32)


def colours(topology: Topology, rest: np.ndarray) -> np.ndarray:
    """Colour and gloss of each vertex, (V, 4) uint8, from the named parts of the mesh at rest (V, 3).

    Nothing casts a shadow in the player, so the inside of the mouth is painted the darker, the deeper it lies.
    """
    from lib.face.render import part_colours

    paint = np.full((topology.n_vertices, 4), SKIN_GLOSS, np.float32)
    paint[:, :3] = part_colours(topology)
    for part, indices in topology.parts.items():
        paint[indices, 3] = GLOSS.get(part, SKIN_GLOSS)
    if "lips" in topology.parts:
        inside = np.concatenate([topology.parts.get(part, np.zeros(0, int)) for part in INSIDE]).astype(int)
        depth = np.median(rest[topology.parts["lips"], 2]) - rest[inside, 2]
        paint[inside] *= np.exp(-np.maximum(depth, 0) / SHADOW_MM)[:, None]
    return paint.astype(np.uint8)


def wav_bytes(audio: np.ndarray, sample_rate: int = 16000) -> bytes:
    """Mono samples (N,) in [-1, 1] as the bytes of a 16-bit WAV file, which every browser decodes and seeks."""
    import wave

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(np.round(np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


# Faces ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Face:
    """A face to show the motion on; `convert` takes the animator's vertices (T, V0, 3) to this face's (T, V, 3).

    `motion_of` names the topology whose motion it can take; None: of every one.
    """

    topology: Topology
    paint: np.ndarray
    convert: Callable[[np.ndarray], np.ndarray] = field(default=lambda vertices: vertices)
    motion_of: str | None = None


def own_face(animator: Animator) -> Face:
    """The face an animator was trained on."""
    audio, speaker = animator.clips[0][1][:16000], next(iter(animator.speakers), None)
    rest = animator.animate(audio, animator.emotions[0], 0.0, speaker)[0]
    return Face(animator.topology, colours(animator.topology, rest))


def other_faces(topology: Topology) -> dict[str, Face]:
    """Faces beside its own on which motion of `topology` can be shown here, by name; empty where assets are missing."""
    if topology.name != "puppet" or find_asset("ict_face_model") is None:
        return {}
    from lib.face.ict import ict_face
    from lib.puppet.retarget import rig_curves

    ict = ict_face()
    return {"ICT": Face(ict.topology, colours(ict.topology, ict.mean), lambda v: ict.vertices(rig_curves(v)), "puppet")}


# Playground ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """Everything a user can set."""

    system: str
    clip: str
    emotion: str
    alpha: float
    speaker: str | int | None
    face: str


@dataclass(frozen=True, eq=False)
class Scene:
    """What is shown: vertices (T, V, 3) mm of a face, the lip opening (T,) mm, and the sound (N,) at 16 kHz."""

    face: Face
    vertices: np.ndarray
    opening: np.ndarray
    audio: np.ndarray
    fps: float


class Playground:
    """State of the playground, without any widget.

    systems: animators by name. faces: further faces by name, beside each animator's own ("trained on").
    """

    OWN_FACE = "as trained"

    def __init__(self, systems: Mapping[str, Animator], faces: Mapping[str, Face] | None = None):
        if not systems:
            raise InputError("the playground needs at least one system; see lib.player.load")
        self.systems, self.faces = dict(systems), dict(faces or {})
        self.own_faces = {name: own_face(animator) for name, animator in self.systems.items()}
        self.clips = {name: dict(animator.clips) for name, animator in self.systems.items()}
        self.uploads: dict[str, np.ndarray] = {}
        self.choice = self._first_choice(next(iter(self.systems)))

    def _first_choice(self, system: str) -> Choice:
        animator = self.systems[system]
        speaker = next(iter(animator.speakers), None)
        expressive = next((e for e in animator.emotions if e != "neutral"), animator.emotions[0])
        return Choice(system, self._clips_of(system)[0], expressive, 1.0, speaker, self.OWN_FACE)

    def _clips_of(self, system: str) -> list[str]:
        return [*self.clips[system], *self.uploads]

    @property
    def animator(self) -> Animator:
        """The chosen system."""
        return self.systems[self.choice.system]

    @property
    def options(self) -> dict[str, list[str]]:
        """Names to choose from, by setting."""
        fitting = [name for name, face in self.faces.items()
                   if face.motion_of in (None, self.animator.topology.name)]
        return {
            "system": list(self.systems), "clip": self._clips_of(self.choice.system),
            "emotion": list(self.animator.emotions), "speaker": list(self.animator.speakers),
            "face": [self.OWN_FACE, *fitting],
        }

    def choose(self, **changes: str | float) -> Choice:
        """Change settings by name; raises InputError naming the setting and what it may be."""
        current = self.choice
        if changes.get("system", current.system) != current.system:
            self._check("system", changes["system"])
            self.choice = self._first_choice(changes["system"])
        try:
            for name, value in changes.items():
                self._check(name, value)
            self.choice = replace(self.choice, **changes)
        except InputError:
            self.choice = current
            raise
        return self.choice

    def _check(self, name: str, value: str | float | None) -> None:
        if name == "alpha":
            if not 0 <= float(value) <= MAX_LEVEL:
                raise InputError(f"intensity {value}: expected 0 to {MAX_LEVEL}")
        elif name not in self.options:
            raise InputError(f"{name!r}: no such setting; expected alpha, {', '.join(self.options)}")
        elif value not in self.options[name] and not (name == "speaker" and value is None):
            raise InputError(f"{name} {value!r}: expected one of {', '.join(self.options[name])}")

    def upload(self, name: str, content: bytes) -> str:
        """Add and choose an own sound file; returns what had to be corrected, raises InputError if it is unusable."""
        from lib.audio import load_bytes

        with warnings.catch_warnings(record=True) as corrections:
            warnings.simplefilter("always", InputWarning)
            audio = load_bytes(content, name, max_duration_s=MAX_SECONDS)
        self.uploads[f"own: {name}"] = audio
        self.choose(clip=f"own: {name}")
        return "; ".join(str(w.message) for w in corrections if issubclass(w.category, InputWarning))

    @property
    def audio(self) -> np.ndarray:
        """Samples (N,) of the chosen clip."""
        return {**self.clips[self.choice.system], **self.uploads}[self.choice.clip]

    @property
    def face(self) -> Face:
        """The chosen face."""
        return self.faces.get(self.choice.face) or self.own_faces[self.choice.system]

    def animate(self, emotion: str, alpha: float) -> np.ndarray:
        """Vertices (T, V0, 3) of the chosen system, clip and speaker, on the system's own topology."""
        motion = self.animator.animate(self.audio, emotion, float(alpha), self.choice.speaker)
        return np.asarray(motion, np.float32)

    def scene(self) -> Scene:
        """What the present choice looks like."""
        motion = self.animate(self.choice.emotion, self.choice.alpha)
        opening = lip_opening(motion, self.animator.topology)
        face = self.face
        return Scene(face, face.convert(motion), opening, self.audio, self.animator.fps)

    def export(self, path: Path, *, title: str, levels: Sequence[float] = LEVELS) -> Path:
        """Write the chosen clip, with every emotion at each of `levels`, as one HTML file (see `export_html`)."""
        motions = {e: [self.animate(e, level) for level in levels] for e in self.animator.emotions}
        return export_html(path, motions, levels, self.own_faces[self.choice.system], self.audio, self.animator.fps,
                           choice=self.choice.emotion, title=title)


# One file without a kernel -------------------------------------------------------------------------------------------


def javascript(*names: str) -> str:
    """The player's source files after one another, as one module."""
    return "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in names)


def export_html(path: Path, motions: Mapping[str, Sequence[np.ndarray]], levels: Sequence[float], face: Face,
                audio: np.ndarray, fps: float, *, choice: str | None = None, title: str = "Face player",
                choice_label: str = "emotion", level_label: str = "intensity") -> Path:
    """Write a page that plays without kernel and network: sound, mesh and precomputed motions are inside.

    motions: name -> one (T, V, 3) array in mm per level, on `face`; levels ascending, at least two. The
    page's slider is continuous: between two levels it interpolates linearly, and says so. Raises InputError if
    lengths differ.
    """
    lengths = {len(motion) for tracks in motions.values() for motion in tracks}
    if len(lengths) != 1 or any(len(tracks) != len(levels) for tracks in motions.values()) or len(levels) < 2:
        raise InputError(f"{path}: expected motions of one length, one per level, at least two levels; "
                         f"got {sorted(lengths)} frames and {len(levels)} levels")
    basis = shared_basis([motion for tracks in motions.values() for motion in tracks])
    data = {
        "faces": _base64(face.topology.faces, np.uint32), "colours": _base64(face.paint, np.uint8),
        **{name: _base64(getattr(basis, name)) for name in ("mean", "rows", "scales")},
        "tracks": {name: [_track(basis, m, face.topology) for m in tracks] for name, tracks in motions.items()},
        "levels": list(levels), "fps": fps, "choice": choice or next(iter(motions)),
        "audio": base64.b64encode(wav_bytes(audio)).decode(),
    }
    note = (f"Computed at {level_label} {', '.join(f'{level:g}' for level in levels)}; linear in between. "
            "Drag the face to turn it, wheel to zoom, double-click to reset.")
    page = _page(data, title=title, note=note, choice_label=choice_label, level_label=level_label,
                 low=f"{levels[0]:g}", high=f"{levels[-1]:g}", level=f"{1 if 1 in levels else levels[-1]:g}")
    with write_aside(Path(path)) as aside:
        aside.write_text(page, encoding="utf-8")
        aside.chmod(0o644)
    return Path(path)


def shared_basis(motions: Sequence[np.ndarray]) -> Basis:
    """One basis that holds every motion (T, V, 3) within TOLERANCE_MM."""
    basis = empty_basis(np.asarray(motions[0], np.float32))
    for motion in motions:
        if basis.error_mm(motion) > TOLERANCE_MM:
            basis = extend_basis(basis, motion)
    return basis


def _track(basis: Basis, motion: np.ndarray, topology: Topology) -> dict[str, str]:
    return {"weights": _base64(basis.project(motion)), "opening": _base64(lip_opening(motion, topology))}


def _base64(values: np.ndarray, kind: type | None = None) -> str:
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()


def _page(data: dict, **texts: str) -> str:
    page = (ASSETS / "page.html").read_text(encoding="utf-8")
    texts = {name: text.replace("&", "&amp;").replace("<", "&lt;") for name, text in texts.items()}
    texts |= {"css": (ASSETS / "player.css").read_text(encoding="utf-8"),
              "data": json.dumps(data).replace("<", "\\u003c"),
              "js": javascript("face_view.js", "player.js", "page.js")}
    for name, text in texts.items():
        page = page.replace("{{" + name + "}}", text)
    return page

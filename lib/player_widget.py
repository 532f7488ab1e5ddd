"""The Jupyter side of the player: `FacePlayer`, which shows a Scene, and `PlaygroundApp`, the settings around it.

Needs anywidget and ipywidgets; everything that can be tested without a browser lives in lib/player.py.
"""

import html
import time
from collections.abc import Callable
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import traitlets

from lib.errors import StudyError
from lib.player import ASSETS, MAX_LEVEL, MAX_SECONDS, Basis, Playground, Scene, fit_basis, javascript, wav_bytes


class FacePlayer(anywidget.AnyWidget):
    """A face with its sound, play button, scrubber and lip-opening curve.

    The traitlets carry binary buffers (float32 unless noted): mesh {faces (F, 3) uint32, colours (V, 4) uint8},
    basis {mean, rows int16, scales}, audio (a WAV file), motion {weights (T, K), opening (T,), fps, stamp}.
    `on_drawn(call)` is told the stamp of a motion once the browser has drawn it.
    """

    _esm = javascript("face_view.js", "player.js", "widget.js")
    _css = (ASSETS / "player.css").read_text(encoding="utf-8")
    mesh = traitlets.Dict().tag(sync=True)
    basis = traitlets.Dict().tag(sync=True)
    audio = traitlets.Bytes().tag(sync=True)
    motion = traitlets.Dict().tag(sync=True)

    def __init__(self, scene: Scene, **options):
        self._listeners, self._stamp, self._face, self._basis = [], 0, None, None
        super().__init__(**self._state(scene), **options)
        self.on_msg(self._on_message)

    def show(self, scene: Scene) -> int:
        """Show another scene; sends only what changed. Returns the stamp by which the browser will report it."""
        with self.hold_sync():
            for name, value in self._state(scene).items():
                setattr(self, name, value)
        return self._stamp

    def on_drawn(self, call: Callable[[int], None]) -> None:
        """Call `call(stamp)` whenever the browser has drawn a new motion."""
        self._listeners.append(call)

    def _on_message(self, _, content: dict, buffers: list) -> None:
        if content.get("kind") == "drawn":
            for call in self._listeners:
                call(content["stamp"])

    def _state(self, scene: Scene) -> dict:
        """The traitlets that differ from what the browser has."""
        state = {}
        if self._face is None or scene.face.topology is not self._face.topology:
            state["mesh"] = {"faces": _buffer(scene.face.topology.faces, np.uint32),
                             "colours": _buffer(scene.face.paint, np.uint8)}
            self._face, self._basis = scene.face, None
        basis = fit_basis(scene.vertices, self._basis)
        if basis is not self._basis:
            state["basis"] = _basis_state(basis)
            self._basis = basis
        sound = wav_bytes(scene.audio)
        if sound != self.audio:
            state["audio"] = sound
        self._stamp += 1
        state["motion"] = {"weights": _buffer(basis.project(scene.vertices)), "opening": _buffer(scene.opening),
                           "fps": scene.fps, "stamp": self._stamp}
        return state


def _basis_state(basis: Basis) -> dict[str, bytes]:
    return {"mean": _buffer(basis.mean), "rows": _buffer(basis.rows, np.int16), "scales": _buffer(basis.scales)}


def _buffer(values: np.ndarray, kind: type = np.float32) -> bytes:
    return np.ascontiguousarray(values, kind).tobytes()


class PlaygroundApp(ipywidgets.VBox):
    """Settings, player and a line of status around a Playground.

    A move of the slider is answered at once. While the kernel computes, the front end keeps only the newest position,
    so that a fast drag costs as many computations as there is time for and always ends on the last position.
    """

    NAMES = ("system", "clip", "emotion", "speaker", "face")

    def __init__(self, playground: Playground):
        self.playground = playground
        self.started: dict[int, float] = {}
        self.status = ipywidgets.HTML()
        self.menus = {name: ipywidgets.Dropdown(description=name) for name in self.NAMES}
        self.alpha = ipywidgets.FloatSlider(value=playground.choice.alpha, min=0, max=MAX_LEVEL, step=0.01,
                                            description="intensity", readout_format=".2f",
                                            layout=ipywidgets.Layout(width="420px"))
        self.own = ipywidgets.FileUpload(description="own audio", accept="audio/*", multiple=False,
                                         tooltip=f"a recording of at most {MAX_SECONDS:g} s and 10 MB")
        self.latency_ms: list[float] = []
        self._fill_menus()
        self.player = FacePlayer(playground.scene())
        self.player.on_drawn(self._on_drawn)
        self._listen()
        super().__init__([self._settings(), self.status, self.player])
        self.say("Move the intensity, then press play.")

    def _settings(self) -> ipywidgets.Box:
        shown = [menu for name, menu in self.menus.items() if len(menu.options) > 1 or name in ("clip", "emotion")]
        wrap = ipywidgets.Layout(display="flex", flex_flow="row wrap", max_width="760px")
        return ipywidgets.Box([*shown, self.alpha, self.own], layout=wrap)

    def _listen(self) -> None:
        for name, menu in self.menus.items():
            menu.observe(lambda change, name=name: self.change(**{name: change["new"]}), "value")
        self.alpha.observe(lambda change: self.change(alpha=change["new"]), "value")
        self.own.observe(self._on_upload, "value")

    def _fill_menus(self) -> None:
        """Options and values of the menus from the playground, without echoing them back as changes."""
        self._filling = True
        try:
            for name, menu in self.menus.items():
                options = tuple(self.playground.options[name])
                if tuple(menu.options) != options:
                    menu.options = options
                menu.value = getattr(self.playground.choice, name)
        finally:
            self._filling = False

    def change(self, **settings) -> None:
        """Apply settings and show the result; a StudyError becomes a message."""
        if self._filling or not self._differ(settings):
            return
        self._attempt(lambda: self.playground.choose(**settings) and "")

    def _differ(self, settings: dict) -> bool:
        return any(getattr(self.playground.choice, name) != value for name, value in settings.items())

    def _on_upload(self, change: dict) -> None:
        if not change["new"]:
            return
        file = change["new"][0]
        self._attempt(lambda: self.playground.upload(file["name"], bytes(file["content"])))
        self.own.value = ()                       # the same file may be chosen again after a mistake

    def _attempt(self, act: Callable[[], str]) -> None:
        """Run `act`, which returns a note for the user, and show the new scene; keep the old one if either fails."""
        before, start = self.playground.choice, time.perf_counter()
        try:
            self.note = act()
            scene = self.playground.scene()
        except StudyError as problem:
            self.playground.choice = before
            self.say(str(problem), wrong=True)
        else:
            stamp = self.player.show(scene)
            self.started[stamp] = start
        self._fill_menus()

    def _on_drawn(self, stamp: int) -> None:
        start = self.started.pop(stamp, None)
        if start is not None:
            self.latency_ms.append(1000 * (time.perf_counter() - start))
            now = self.playground.choice
            took = f"from setting to picture {self.latency_ms[-1]:.0f} ms"
            self.say(f"{now.clip}, {now.emotion} {now.alpha:.2f}: {took}. {self.note}")

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Show one line of text below the settings."""
        style = "color: #b3261e; font-weight: 600" if wrong else "color: #666"
        role = "alert" if wrong else "status"
        self.status.value = f'<div class="playground-status" role="{role}" style="{style}">{html.escape(text)}</div>'

    def export(self, path: Path, title: str) -> Path:
        """Write the chosen clip as one HTML file."""
        return self.playground.export(path, title=title)

"""Notebook 07 and its exported page in a real headless Chromium, as a visitor uses them; no network but this machine's.

The app is opened once and the tests are the steps of one visit. The notebook is the real one; only the trained system
is replaced by a stand-in, through its parameters. Skipped where no browser is installed. Screenshots and the server's
log lie in pytest's temporary folder; `pytest tests/test_browser.py -s` prints the time from slider to picture.
"""

import contextlib
import io
import os
import shutil
import signal
import socket
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from lib.paths import NOTEBOOKS
from lib.player_app import command, environment

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic", "--mute-audio", "--autoplay-policy=no-user-gesture-required",
]
PATIENCE_S = 240                 # a bound, not an expectation: a busy machine may build the head for a minute
PLAYER = ".face-player[data-frame]"
BACKGROUND = np.array([38, 42, 50])
# Timed inside the page, from the key that moves the slider to the picture of the motion that answers it.
MEASURE = """() => {
  const root = document.querySelector(".face-player"), handle = document.querySelector(".noUi-handle");
  window.latencies = [];
  let start = null;
  handle.addEventListener("keydown", () => { start = performance.now(); }, true);
  const drawn = () => { if (start !== null) { window.latencies.push(performance.now() - start); start = null; } };
  new MutationObserver(drawn).observe(root, { attributes: true, attributeFilter: ["data-stamp"] });
}"""
FRAME_AND_CLOCK = """() => new Promise((done) => requestAnimationFrame(() => {
  const { facePlayer, dataset } = document.querySelector(".face-player");
  done([Number(dataset.frame), facePlayer.audio.currentTime * facePlayer.fps]);
}))"""


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium or Chrome found on PATH; install one (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """Address of notebook 07 served with a stand-in system, and the folder that stands for the repository."""
    pytest.importorskip("voila", reason="voila is not installed")
    folder = tmp_path_factory.mktemp("playground")
    notebook = prepared_notebook(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serving(notebook, port, folder):
        yield f"http://127.0.0.1:{port}/", folder


def prepared_notebook(folder: Path) -> Path:
    """A copy of the real notebook whose parameters name the stand-in."""
    import nbformat
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    notebook = load_notebook_node(str(NOTEBOOKS / "07_playground.ipynb"))
    given = {"scale": "smoke", "system": "player_stand_in:puppet_in_sandbox", "others": []}
    copy = folder / "07_playground.ipynb"
    nbformat.write(parameterize_notebook(notebook, given), copy)
    return copy


@contextlib.contextmanager
def serving(notebook: Path, port: int, folder: Path):
    """Voila in a process group of its own, which is ended whatever happens."""
    settings = environment() | {"PLAYER_TEST_ROOT": str(folder), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    settings["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent)
    call = command(notebook, port, open_browser=False)
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(call, env=settings, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for_port(server, port, folder / "server.log")
            yield
        finally:
            stop(server)


def wait_for_port(server: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text()[-2000:]}")


def stop(server: subprocess.Popen) -> None:
    """End the server and its kernels: first politely, then surely."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=10)


@contextlib.contextmanager
def opened(browser):
    """A page that may reach this machine alone; its complaints and its attempts to go elsewhere are kept."""
    context = browser.new_context(viewport={"width": 1000, "height": 1100})
    page, complaints = context.new_page(), []
    page.set_default_timeout(1000 * PATIENCE_S)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    context.route(lambda url: not url.startswith(("http://127.0.0.1", "file:", "data:", "blob:")),
                  lambda route: (complaints.append(f"left this machine: {route.request.url}"), route.abort()))
    yield page, complaints
    context.close()


@pytest.fixture(scope="module")
def visit(app, browser):
    """The app, opened once: its first visit runs the notebook."""
    with opened(browser) as (page, complaints):
        page.goto(app[0], wait_until="commit")
        wait_for_player(page, app[1] / "server.log")
        yield page, complaints


def wait_for_player(page, log: Path) -> None:
    """Until the face is drawn; a notebook that fails says why at once."""
    deadline = time.monotonic() + PATIENCE_S
    while not page.locator(PLAYER).count():
        text = log.read_text()
        if "Traceback" in text or time.monotonic() > deadline:
            pytest.fail(f"notebook 07 shows no face:\n{text[-3000:]}")
        page.wait_for_timeout(300)


def picture(page, path: Path | None = None) -> np.ndarray:
    """The face canvas as seen on the screen, (H, W, 3) 0..255."""
    from matplotlib.image import imread

    if path:
        page.screenshot(path=path, full_page=True)
    png = page.locator(".face-view").screenshot()
    return np.round(255 * imread(io.BytesIO(png))[..., :3])


def share_of_face(image: np.ndarray) -> float:
    """Share of pixels that are not background."""
    return float((np.abs(image - BACKGROUND).sum(-1) > 40).mean())


def state(page, name: str) -> str:
    return page.locator(PLAYER).get_attribute(f"data-{name}")


def wait_until_new(page, name: str, old: str) -> None:
    page.wait_for_function("([name, old]) => document.querySelector('.face-player').dataset[name] !== old",
                           arg=[name, old])


def upload(page, file: dict) -> None:
    """Choose a file through the upload button, whose input element is not part of the page."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="own audio").click()
    chooser.value.set_files(file)


def check_playback(page) -> None:
    """Press play: frames advance, each is the one the sound has reached, and the picture follows."""
    page.get_by_label("Play", exact=True).click()
    page.wait_for_function("() => document.querySelector('.face-player').facePlayer.audio.currentTime > 0.2")
    seen = []
    for _ in range(8):
        seen.append(page.evaluate(FRAME_AND_CLOCK))
        page.wait_for_timeout(60)
    frames, clock = np.array(seen).T
    assert len(set(frames)) > 3 and (np.diff(frames) >= 0).all()
    assert np.abs(frames + 0.5 - clock).max() <= 1.5, "the frame shown is more than one frame from the sound"
    page.wait_for_function("() => document.querySelector('.face-player').facePlayer.audio.paused")
    assert int(state(page, "frame")) == int(state(page, "frames")) - 1


def test_the_slider_moves_the_face(app, visit):
    page, complaints = visit
    before, checksum = picture(page, app[1] / "1_opened.png"), state(page, "checksum")
    assert share_of_face(before) > 0.15
    page.evaluate(MEASURE)
    handle, stamp = page.locator(".noUi-handle"), state(page, "stamp")
    handle.focus()
    handle.press("Home")
    wait_until_new(page, "stamp", stamp)
    assert state(page, "checksum") != checksum
    assert (np.abs(picture(page, app[1] / "2_intensity_0.png") - before).sum(-1) > 30).mean() > 0.002
    for _ in range(10):
        stamp = state(page, "stamp")
        handle.press("PageUp")
        wait_until_new(page, "stamp", stamp)
    times_ms = page.evaluate("window.latencies")
    print(f"\nslider to picture: median {statistics.median(times_ms):.0f} ms, slowest {max(times_ms):.0f} ms")
    page.wait_for_selector(".playground-status:has-text('from setting to picture')")
    assert complaints == []


def test_the_face_plays_in_sync_with_the_sound(app, visit):
    page, complaints = visit
    check_playback(page)
    picture(page, app[1] / "3_played.png")
    assert complaints == []


def test_another_emotion_is_another_face(app, visit):
    page, complaints = visit
    stamp, checksum = state(page, "stamp"), state(page, "checksum")
    page.locator(".widget-dropdown:has-text('emotion') select").select_option("sad")
    wait_until_new(page, "stamp", stamp)
    assert state(page, "checksum") != checksum
    picture(page, app[1] / "4_sad.png")
    assert complaints == []


def test_a_broken_sound_file_gets_a_readable_answer_and_leaves_the_face_as_it_was(app, visit):
    page, complaints = visit
    stamp = state(page, "stamp")
    upload(page, {"name": "broken.wav", "mimeType": "audio/wav", "buffer": b"RIFF, but no sound"})
    message = page.wait_for_selector(".playground-status[role=alert]").inner_text()
    assert "broken.wav" in message and "Traceback" not in message
    assert state(page, "stamp") == stamp
    picture(page, app[1] / "5_refused.png")
    assert complaints == []


def test_own_audio_is_animated(app, visit):
    from player_stand_in import murmur

    from lib.player import wav_bytes

    page, complaints = visit
    stamp = state(page, "stamp")
    upload(page, {"name": "me.wav", "mimeType": "audio/wav", "buffer": wav_bytes(murmur(1.6))})
    wait_until_new(page, "stamp", stamp)
    assert state(page, "frames") == "40"
    check_playback(page)
    assert complaints == []


def test_a_fast_drag_ends_on_the_last_position(visit):
    page, complaints = visit
    handle = page.locator(".noUi-handle")
    handle.focus()
    for key in ["Home", *["PageUp"] * 9, "End"]:
        handle.press(key)
    page.wait_for_selector(".playground-status:has-text('1.30: from setting')")
    assert complaints == []


def test_the_same_motion_is_shown_on_the_ict_face(app, visit):
    page, complaints = visit
    menu, stamp = page.locator(".widget-dropdown:has-text('face') select"), state(page, "stamp")
    if not menu.count():
        pytest.skip("the ICT face is not among the assets; see data_manifest.yaml, ict_face_model")
    menu.select_option("ICT")
    wait_until_new(page, "stamp", stamp)
    assert share_of_face(picture(page, app[1] / "6_ict.png")) > 0.15
    assert complaints == []


def test_the_exported_page_works_without_kernel_and_network(app, visit, browser):
    folder = app[1]
    exported = folder / "results" / "smoke" / "playground.html"
    assert exported.stat().st_size < 5e6
    with opened(browser) as (page, complaints):
        page.context.set_offline(True)
        page.goto(exported.as_uri())
        page.wait_for_selector(PLAYER)
        before, checksum = picture(page, folder / "7_exported.png"), state(page, "checksum")
        assert share_of_face(before) > 0.15
        page.locator("#level").fill("0")
        wait_until_new(page, "checksum", checksum)
        assert (np.abs(picture(page) - before).sum(-1) > 30).mean() > 0.002
        check_playback(page)
        page.locator("#choice").select_option("sad")
        page.wait_for_function("() => document.querySelector('.face-player').dataset.stamp.startsWith('sad')")
        page.set_viewport_size({"width": 420, "height": 900})
        page.wait_for_function("() => document.querySelector('.face-view').width < 420")
        picture(page, folder / "8_exported_narrow.png")
        assert complaints == []

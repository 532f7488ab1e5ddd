"""The player without a browser: motion travels within its stated error, settings react, bad input becomes a message."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from player_stand_in import StandIn, murmur

from lib.errors import InputError
from lib.player import (
    LEVELS,
    MAX_RANK,
    TOLERANCE_MM,
    Playground,
    empty_basis,
    export_html,
    fit_basis,
    lip_opening,
    load,
    own_face,
    shared_basis,
    wav_bytes,
)


@pytest.fixture
def playground():
    return Playground({"stand-in": StandIn()})


def motion(frames: int, rank: int, seed: int = 0) -> np.ndarray:
    """Vertices (frames, 200, 3) of some 100 mm that move by some 5 mm in `rank` directions."""
    rest, rng = 100 * np.random.default_rng(100).normal(size=600), np.random.default_rng(seed)
    moved = rng.normal(size=(frames, rank)) @ rng.normal(size=(rank, 600)) * 5 / np.sqrt(rank)
    return (rest + moved).reshape(frames, 200, 3).astype(np.float32)


def test_one_direction_needs_one_row():
    assert fit_basis(motion(30, rank=1)).rank == 1


def test_a_still_face_needs_no_row():
    still = np.repeat(motion(1, rank=1), 10, axis=0)
    assert fit_basis(still).rank == 0
    assert fit_basis(still).error_mm(still) < 1e-4


@pytest.mark.parametrize("rank", [3, 40, 200])
def test_motion_survives_the_journey_within_a_hundredth_of_a_millimetre(rank):
    vertices = motion(90, rank)
    assert fit_basis(vertices).error_mm(vertices) < TOLERANCE_MM


def test_the_basis_is_kept_where_it_suffices_and_grows_where_not():
    first, second = motion(50, rank=5), motion(50, rank=5, seed=1)
    basis = fit_basis(first)
    assert fit_basis(first[:10] * 0.5 + first[10:20] * 0.5, basis) is basis
    grown = fit_basis(second, basis)
    assert np.array_equal(grown.rows[: basis.rank], basis.rows)
    assert grown.error_mm(first) < TOLERANCE_MM and grown.error_mm(second) < TOLERANCE_MM


def test_a_basis_that_grew_too_large_is_started_afresh():
    basis = empty_basis(motion(2, 1))
    for seed in range(6):
        basis = fit_basis(motion(60, rank=59, seed=seed), basis)
        assert basis.rank <= MAX_RANK


def test_lip_opening_is_the_distance_of_the_inner_lips_in_mm():
    stand_in = StandIn()
    vertices = np.repeat(stand_in.rest[None], 2, axis=0)
    top, bottom = stand_in.topology.landmarks[[62, 66]]
    vertices[:, top], vertices[:, bottom] = [[0, 3, 0], [0, 0, 4]], [[0, 0, 0], [0, 3, 0]]
    assert lip_opening(vertices, stand_in.topology).tolist() == [3.0, 5.0]


def test_sound_leaves_as_a_wav_file_of_the_same_samples():
    import io

    import soundfile

    samples, rate = soundfile.read(io.BytesIO(wav_bytes(murmur())), dtype="float32")
    assert rate == 16000
    assert np.abs(samples - murmur()).max() < 1 / 32767


def test_intensity_moves_the_face_and_zero_forgets_the_emotion(playground):
    playground.choose(alpha=0.0, emotion="happy")
    neutral = playground.scene().vertices
    playground.choose(emotion="sad")
    assert np.array_equal(playground.scene().vertices, neutral)
    playground.choose(alpha=1.3)
    assert np.abs(playground.scene().vertices - neutral).max() == pytest.approx(1.3 * 15, abs=0.2)


@pytest.mark.parametrize("wrong", [{"alpha": 1.4}, {"alpha": -0.1}, {"emotion": "bored"}, {"clip": "?"},
                                   {"colour": "red"}, {"system": "other"}])
def test_a_wrong_setting_is_named_and_changes_nothing(playground, wrong):
    before = playground.choice
    with pytest.raises(InputError, match="expected"):
        playground.choose(**wrong)
    assert playground.choice == before


def test_a_face_is_offered_only_where_it_can_take_the_motion():
    face = own_face(StandIn())
    faces = {"any": face, "of puppets": replace(face, motion_of="puppet")}
    other = Playground({"stand-in": StandIn()}, faces)
    assert other.options["face"] == [Playground.OWN_FACE, "any"]
    with pytest.raises(InputError, match="face 'of puppets'"):
        other.choose(face="of puppets")


def test_own_audio_becomes_a_clip_and_is_animated(playground):
    assert playground.upload("me.wav", wav_bytes(murmur(3.0))) == ""
    assert playground.choice.clip == "own: me.wav"
    assert len(playground.scene().vertices) == 75


@pytest.mark.parametrize("content, word", [
    (b"", "empty"), (b"not a sound", "cannot be read"), (wav_bytes(np.zeros(16000)), "silent"),
    (wav_bytes(murmur(31.0)), "at most"),
])
def test_a_bad_file_is_refused_with_a_message_that_names_it(playground, content, word):
    before = playground.choice
    with pytest.raises(InputError, match=f"mine.wav.*{word}"):
        playground.upload("mine.wav", content)
    assert playground.choice == before and not playground.uploads


def test_a_correction_of_own_audio_is_told(playground):
    loud = np.sign(murmur()).astype(np.float32)
    assert "clipped" in playground.upload("loud.wav", wav_bytes(loud))


def test_systems_are_loaded_by_module_and_function_and_others_refused():
    assert isinstance(load("player_stand_in:animator", "smoke"), StandIn)
    with pytest.raises(InputError, match="expected"):
        load("nobody", "smoke")


def test_one_basis_serves_every_intensity():
    stand_in = StandIn()
    motions = [stand_in.animate(murmur(), "happy", level) for level in LEVELS]
    basis = shared_basis(motions)
    assert basis.rank <= 4 and max(basis.error_mm(m) for m in motions) < TOLERANCE_MM


def test_the_exported_page_holds_everything_and_asks_the_network_for_nothing(playground, tmp_path):
    page = playground.export(tmp_path / "page.html", title="A <test>").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)|https?://|import\s*\(|\bimport\b.*\bfrom\b|@import""", page)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page).group(1))
    assert list(data["tracks"]) == ["happy", "sad"] and len(data["tracks"]["sad"]) == len(LEVELS)
    assert "A &lt;test>" in page and "{{" not in page


def test_an_export_of_unequal_motions_leaves_no_file(tmp_path):
    stand_in = StandIn()
    motions = {"happy": [stand_in.animate(murmur(), "happy", 0), stand_in.animate(murmur(1.0), "happy", 1)]}
    with pytest.raises(InputError, match="one length"):
        export_html(tmp_path / "page.html", motions, (0, 1), own_face(stand_in), murmur(), 25.0)
    assert not list(tmp_path.iterdir())


def test_the_app_reacts_to_its_slider_and_shows_errors_as_text(playground):
    pytest.importorskip("anywidget")
    from lib.player_widget import PlaygroundApp

    app = PlaygroundApp(playground)
    weights, basis = app.player.motion["weights"], app.player.basis
    app.alpha.value = 0.25
    assert playground.choice.alpha == 0.25 and app.player.motion["weights"] != weights
    app._on_upload({"new": ({"name": "broken.wav", "content": memoryview(b"nonsense")},)})
    assert "broken.wav" in app.status.value and "alert" in app.status.value
    assert playground.choice.clip == "murmur"
    app.menus["clip"].value = "short murmur"
    assert len(np.frombuffer(app.player.motion["opening"], np.float32)) == 25
    assert app.player.basis is not None and basis is not None


def test_one_move_of_the_slider_computes_once_and_keeps_the_basis(playground):
    pytest.importorskip("anywidget")
    from lib.player_widget import PlaygroundApp

    app = PlaygroundApp(playground)
    app.alpha.value = 0.1
    calls, basis, audio = playground.animator.calls, app.player.basis, app.player.audio
    app.alpha.value = 0.9
    assert playground.animator.calls == calls + 1
    assert app.player.basis is basis and app.player.audio is audio

"""SyncNet: released keys, sign of the offset, what zero padding does, and what is refused."""

import numpy as np
import pytest
import torch

from lib.errors import InputError
from lib.models import syncnet


def vectors(windows: int = 60, width: int = 16) -> torch.Tensor:
    return torch.randn(windows, width, generator=torch.Generator().manual_seed(3))


def test_the_network_has_the_published_number_of_weights():
    state = syncnet.SyncNet().state_dict()
    assert (len(state), sum(value.numel() for value in state.values())) == (102, 13_640_270)


@pytest.mark.parametrize("late", [-6, 0, 4])
def test_the_offset_is_positive_where_the_sound_comes_early(late):
    audio = vectors()
    match = syncnet.offset_search(audio.roll(late, 0), audio)      # the lips repeat what was heard `late` frames ago
    assert match.offset == late
    assert match.min_distance < 0.2 * float(match.mean_distance.median())
    assert match.confidence == pytest.approx(float(match.mean_distance.median()) - match.min_distance)


def test_lips_without_relation_to_the_sound_earn_little_confidence():
    audio, other = vectors(), torch.randn(60, 16, generator=torch.Generator().manual_seed(4))
    together, apart = syncnet.offset_search(audio, audio), syncnet.offset_search(other, audio)
    assert apart.confidence < 0.2 * together.confidence


def test_a_clip_shorter_than_the_search_is_compared_with_silence():
    audio = vectors(8)
    match = syncnet.offset_search(audio, audio)
    silence = audio.add(syncnet.EPSILON).norm(dim=1)
    assert torch.allclose(match.distances[:, 0], silence) and torch.allclose(match.distances[:, -1], silence)


def test_windows_need_frames_and_sound():
    assert syncnet.windows(13, 9000) == 8
    with pytest.raises(InputError, match="expected more than 5 frames"):
        syncnet.windows(5, 16_000)


def test_other_pictures_and_sounds_are_refused():
    model = syncnet.SyncNet().eval()
    with pytest.raises(InputError, match=r"expected \(T, 3, 224, 224\)"):
        syncnet.features(model, torch.zeros(9, 3, 96, 96), np.zeros(9000, np.int16))
    with pytest.raises(InputError, match="expected int16"):
        syncnet.features(model, torch.zeros(9, 3, 224, 224), np.zeros(9000))
    with pytest.raises(InputError, match="expected \\(W, D\\) both"):
        syncnet.offset_search(vectors(), vectors(59))


def test_a_released_file_is_read_and_another_refused(tmp_path):
    model, path = syncnet.SyncNet(), tmp_path / "syncnet.pt"
    torch.save(model.state_dict(), path)
    read = syncnet.load(path).state_dict()
    assert all(torch.equal(read[key], value) for key, value in model.state_dict().items())
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(InputError, match="another network"):
        syncnet.load(path)

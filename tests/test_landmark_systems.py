"""Windows of tracks and their partners, networks called without training them, MakeItTalk trained on a few clips."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib.errors import InputError
from lib.experiments import landmark_systems as systems
from lib.experiments.landmark_systems import Course, Size, course_of, frozen_call

SIZE = Size(width=16, batch=4, window=20, steps=4, learning_rate=2e-3)


@dataclass(eq=False)
class FewTracks:
    """Twelve clips of two actors; the mel says which frame of which clip it is."""

    seed: int = 3
    fps: int = 25
    key: str = "few"

    def __post_init__(self):
        from lib.experiments.tracks import neutral

        rng = np.random.default_rng(0)
        self.table = pd.DataFrame({"actor": [0, 1] * 6, "emotion": ["happy", "sad", "angry"] * 4, "part": "train"})
        at = [np.arange(30 + i, dtype=np.float32) for i in range(12)]
        self.converted = [np.tile((100 * i + a)[:, None], (1, 80)) for i, a in enumerate(at)]
        self.landmarks = [neutral(i % 2) + rng.standard_normal((30 + i, 68, 2)).astype(np.float32) for i in range(12)]
        self.speaker = np.eye(2, 5, dtype=np.float32)[self.table.actor]

    def template(self, index):
        from lib.experiments.tracks import neutral

        return neutral(int(self.table.actor[index]))

    def rows(self, *parts):
        return self.table[self.table.part.isin(parts)]


@pytest.fixture(scope="module")
def few():
    return FewTracks()


def test_an_epoch_has_one_window_of_every_clip_and_all_parts_of_a_window_belong_together(few):
    course = course_of(few, SIZE, ("angry", "happy", "sad"), curves={"frame": [m[:, 0] for m in few.converted]},
                       fixed={"row": np.arange(12)})
    batches = list(course.batches(np.random.default_rng(0)))
    assert sorted(torch.cat([b.clips for b in batches]).tolist()) == list(range(12))
    for batch in batches:
        first = batch.mel[:, 0, 0].long()
        assert torch.equal(first // 100, batch.clips) and torch.equal(batch.curves["frame"], batch.mel[..., 0])
        assert torch.equal(batch.fixed["row"], batch.clips)
        for b, clip in enumerate(batch.clips.tolist()):
            start = int(first[b]) - 100 * clip
            assert np.array_equal(batch.landmarks[b], few.landmarks[clip][start : start + 20])
            assert course.emotions[batch.emotion[b]] == few.table.emotion[clip]
            assert np.array_equal(batch.template[b], few.template(clip))


def test_views_are_of_the_same_clip_another_of_the_actor_and_of_another_actor(few):
    course = course_of(few, SIZE, ("angry", "happy", "sad"), views=("same", "other", "stranger"))
    for batch in course.batches(np.random.default_rng(0)):
        same, other, stranger = (batch.views[name].clips for name in ("same", "other", "stranger"))
        assert torch.equal(same, batch.clips) and (other != batch.clips).all()
        assert torch.equal(other % 2, batch.clips % 2) and ((stranger - batch.clips) % 2 == 1).all()


def test_only_clips_of_the_named_emotions_are_taken_and_batches_repeat_with_their_seed(few):
    course = course_of(few, SIZE, ("sad",))
    assert set(few.table.emotion[course.clips]) == {"sad"}
    one, two = (next(course.batches(np.random.default_rng(5))).mel for _ in range(2))
    assert torch.equal(one, two)


def test_unknown_views_empty_courses_and_too_long_windows_are_refused(few):
    with pytest.raises(InputError, match="views among same, other, stranger"):
        course_of(few, SIZE, ("sad",), views=("twin",))
    with pytest.raises(InputError, match="course of 0 clips"):
        course_of(few, SIZE, ("bored",))
    with pytest.raises(InputError, match="shortest clip has 30 frames, windows have 31"):
        Course(few, replace(SIZE, window=31), ("sad",), np.arange(12))


def test_a_frozen_call_trains_its_input_and_not_the_network():
    network, x = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval(), torch.randn(4, 3, requires_grad=True)
    assert torch.equal(frozen_call(network, x), network(x))
    frozen_call(network, x).sum().backward()
    assert x.grad.abs().sum() > 0 and all(p.grad is None for p in network.parameters())


def tiny(**changes) -> systems.MakeItTalkSize:
    return replace(systems.MAKEITTALK_SIZES["smoke"], content=SIZE, speaker=SIZE, **changes)


def test_makeittalk_trains_predicts_every_frame_and_is_found_again(few, tmp_path):
    trained = systems.train_makeittalk(few, tiny(), tmp_path, progress=False)
    raw, finished = (trained.predict(few.converted[0], few.template(0), few.speaker[0], f) for f in (False, True))
    assert raw.shape == finished.shape == few.landmarks[0].shape and np.abs(raw - few.landmarks[0]).mean() < 60
    assert not np.allclose(raw, trained.predict_content(few.converted[0], few.template(0)))
    again = systems.train_makeittalk(few, tiny(), tmp_path, progress=False)
    assert np.array_equal(again.predict(few.converted[0], few.template(0), few.speaker[0]), raw)
    assert again.logs["speaker"][-1].keys() == {"landmark", "shape", "realism", "discriminator"}


def test_the_realism_loss_does_not_train_its_judge(few):
    size = tiny()
    torch.manual_seed(0)
    config = replace(size.model, embedding=5)
    manner, batch = systems.Manner(config), next(systems._course(few, size, SIZE).batches(np.random.default_rng(0)))
    losses = systems._manner_losses(systems.makeittalk.ContentBranch(config).eval(), manner, batch, 0.001)
    losses["realism"].backward(retain_graph=True)
    assert all(p.grad is None for p in manner.discriminator.parameters())
    assert any(p.grad is not None for p in manner.branch.parameters())
    manner.zero_grad(set_to_none=True)
    losses["discriminator"].backward()
    assert all(p.grad is None for p in manner.branch.parameters())


def test_without_a_discriminator_nothing_adversarial_is_learned_and_references_have_names(few, tmp_path):
    trained = systems.train_makeittalk(few, tiny(realism=0.0), tmp_path, progress=False)
    assert trained.logs["speaker"][-1].keys() == {"landmark", "shape"}
    with pytest.raises(InputError, match="reference 'open'"):
        systems.train_makeittalk(few, tiny(reference="open"), tmp_path / "open", progress=False)

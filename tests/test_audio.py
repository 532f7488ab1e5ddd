"""Sound in: every shape, rate and level a user may bring; features with values one can work out by hand."""

import io
import warnings

import numpy as np
import pytest
import soundfile

from lib import audio
from lib.errors import InputError, InputWarning


def tone(frequency=440.0, seconds=1.0, rate=16000, level=0.5):
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def test_a_wav_file_at_the_working_rate_comes_back_sample_for_sample(tmp_path):
    audio.save(tmp_path / "tone.wav", tone())
    loaded = audio.load(tmp_path / "tone.wav")
    assert loaded.dtype == np.float32 and loaded.shape == (16000,)
    assert np.abs(loaded - tone()).max() <= 1 / 32768


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_saving_leaves_one_file_that_others_can_read(tmp_path, kind):
    audio.save(tmp_path / f"a.{kind}", tone())
    assert soundfile.info(tmp_path / f"a.{kind}").frames == 16000 and len(list(tmp_path.iterdir())) == 1


def test_two_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "stereo.wav", np.stack([tone(level=0.6), tone(level=0.2)], 1), 16000, "FLOAT")
    assert np.allclose(audio.load(tmp_path / "stereo.wav"), tone(level=0.4), atol=1e-6)


def test_48_khz_is_resampled_and_keeps_duration_and_pitch(tmp_path):
    soundfile.write(tmp_path / "studio.wav", tone(rate=48000), 48000)
    loaded = audio.load(tmp_path / "studio.wav")
    assert len(loaded) == 16000
    assert np.abs(np.fft.rfft(loaded)).argmax() == 440                   # one bin per hertz


def test_8_khz_is_resampled_with_a_warning(tmp_path):
    soundfile.write(tmp_path / "phone.wav", tone(rate=8000), 8000)
    with pytest.warns(InputWarning, match="phone.wav.*8000 Hz"):
        assert len(audio.load(tmp_path / "phone.wav")) == 16000


def test_a_tone_above_the_new_band_does_not_fold_back():
    high = audio.resample(tone(12000, rate=48000), 48000, 16000)
    assert np.abs(high[500:-500]).max() < 1e-3                           # an aliased copy at 4 kHz would have 0.5


def test_16_bit_integers_are_divided_by_32768():
    samples = np.array([0, 16384, -32768, 32767] * 1000, np.int16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        assert audio.load_array(samples, 16000)[:3].tolist() == [0.0, 0.5, -1.0]


def test_bytes_of_an_upload_equal_the_file(tmp_path):
    audio.save(tmp_path / "a.flac", tone())
    uploaded = audio.load_bytes((tmp_path / "a.flac").read_bytes(), "a.flac")
    assert np.array_equal(uploaded, audio.load(tmp_path / "a.flac"))


def test_a_tenth_of_a_second_works_and_less_is_refused():
    assert len(audio.load_array(tone(seconds=0.1), 16000)) == 1600
    with pytest.raises(InputError, match=r"0\.099 s long.*at least 0\.1"):
        audio.load_array(tone(seconds=0.0994), 16000)


def test_ten_minutes_work_and_more_is_refused():
    assert len(audio.load_array(np.tile(tone(), 600), 16000)) == 9_600_000
    with pytest.raises(InputError, match="at most 10 min; cut it"):
        audio.load_array(np.tile(tone(), 601), 16000)


def test_clipped_sound_is_used_with_a_warning():
    with pytest.warns(InputWarning, match="clipped"):
        audio.load_array(np.clip(tone(level=3.0), -1, 1), 16000)


def test_an_overshoot_of_a_lossy_decoder_is_scaled_with_a_warning():
    with pytest.warns(InputWarning, match="above full scale"):
        assert np.abs(audio.load_array(tone(level=1.2), 16000)).max() == pytest.approx(1.0)


@pytest.mark.parametrize(("samples", "message"), [
    (np.zeros(16000, np.float32), "silent"),
    (np.full(16000, np.nan, np.float32), "16000 of 16000 samples are NaN"),
    (tone() * 20000, "divide 16-bit samples by 32768"),
    (np.zeros((100, 100)), "expected .samples,."),
    (np.array(["a"] * 16000), "samples of type"),
])
def test_samples_that_are_no_sound_are_refused_by_name(samples, message):
    with pytest.raises(InputError, match=f"my clip: .*{message}"):
        audio.load_array(samples, 16000, "my clip")


def test_a_missing_an_empty_and_a_foreign_file_are_refused_by_name(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is no sound")
    for name, message in (("none", "no such sound file"), ("empty", "is empty"), ("text", "cannot be read as sound")):
        with pytest.raises(InputError, match=f"{name}.wav: .*{message}"):
            audio.load(tmp_path / f"{name}.wav")


def test_a_cut_off_file_is_refused_rather_than_shortened(tmp_path):
    soundfile.write(tmp_path / "whole.wav", tone(), 16000)
    (tmp_path / "half.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:16000])
    with pytest.raises(InputError, match="half.wav: the file is cut off"):
        audio.load(tmp_path / "half.wav")


def test_raw_samples_out_of_range_are_not_saved(tmp_path):
    with pytest.raises(InputError, match="not written"):
        audio.save(tmp_path / "loud.wav", tone(level=2.0))
    assert not list(tmp_path.iterdir())


def test_loudness_of_a_full_scale_sine_is_minus_three_decibels():
    level = audio.loudness(tone(level=1.0), fps=100)
    assert level.shape == (100,) and np.allclose(level[5:-5], -3.01, atol=0.02)


def test_halving_the_amplitude_lowers_the_loudness_by_six_decibels():
    difference = audio.loudness(tone(level=0.8)) - audio.loudness(tone(level=0.4))
    assert np.allclose(difference, 20 * np.log10(2), atol=1e-3)


def test_frame_counts_follow_the_clock_of_the_study():
    assert audio.frame_count(tone(seconds=1.019), 25) == 25 and audio.frame_count(tone(seconds=1.04), 25) == 26


def test_peak_normalisation_reaches_minus_three_decibels():
    assert np.abs(audio.normalise_peak(tone(level=0.1))).max() == pytest.approx(10 ** (-3 / 20))


def test_trimming_removes_silence_but_the_margin():
    padded = np.concatenate([np.zeros(8000, np.float32), tone(), np.zeros(8000, np.float32)])
    assert abs(len(audio.trim_silence(padded)) - 16000 * 1.1) < 16000 * 0.05


@pytest.mark.parametrize("frequency", [80.0, 120.0, 220.0, 410.0])
def test_pitch_of_a_buzz_is_its_repetition_rate(frequency):
    buzz = sum(tone(k * frequency, level=0.3 / k) for k in range(1, 8))
    f0 = audio.pitch(buzz)
    assert f0.shape == (100,) and np.abs(f0[5:-5] / frequency - 1).max() < 0.01


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    assert np.isnan(audio.pitch(noise)).mean() > 0.95 and np.isnan(audio.pitch(np.zeros(16000, np.float32))).all()


def test_mel_and_mfcc_have_one_row_per_frame_and_louder_sound_shifts_log_mel_by_a_constant():
    soft, loud = audio.mel(tone(level=0.1)), audio.mel(tone(level=0.2))
    band = soft.mean(0).argmax()
    assert soft.shape == (100, 80) and audio.mfcc(tone()).shape == (100, 13)
    assert np.allclose(loud[5:-5, band] - soft[5:-5, band], np.log(4), atol=1e-3)


def test_mel_bands_equal_those_of_librosa():
    import librosa
    ours = audio.mel(tone(1000), n_mels=40, window_s=0.032)
    theirs = librosa.feature.melspectrogram(y=tone(1000), sr=16000, n_fft=512, hop_length=160, n_mels=40,
                                            pad_mode="constant")
    assert np.allclose(ours, np.log(np.maximum(theirs.T[:100], 1e-10)), atol=1e-3)


def test_bytes_that_are_no_sound_are_refused_by_name():
    with pytest.raises(InputError, match="holiday.mp3: cannot be read as sound"):
        audio.load_bytes(b"\x00" * 100, "holiday.mp3")
    ogg = io.BytesIO()
    soundfile.write(ogg, tone(), 16000, format="OGG")
    assert len(audio.load_bytes(ogg.getvalue(), "clip.ogg")) == 16000

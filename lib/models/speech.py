"""A wav2vec 2.0 of reduced size with a phoneme head (Baevski et al. 2020, arXiv 2006.11477, sections 2 and 3).

symbol   here       shape            meaning
X        audio      (B, N)           16 kHz, zero mean and unit variance per clip
Z        -          (B, Ta, conv)    latent speech of seven convolutions, 50 Hz: Ta = (N - 400) // 320 + 1
C        hidden     (B, Ta, width)   context of the transformer: the features everyone else uses
-        logits     (B, Ta, 1 + P)   class 0 is CTC's blank and also silence, then the phonemes

Kernels and strides are those of wav2vec2-base, so frames lie where its frames lie; only widths and depth are smaller.
Departures: no self-supervised pre-training; layer norms come first in each block, which needs no warm-up of the rate;
positions are told by convolutions of 32 frames instead of 128.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

SAMPLE_RATE, FRAME_SAMPLES, FIELD_SAMPLES = 16000, 320, 400     # a frame advances by 20 ms and sees 25 ms
RATE_HZ = SAMPLE_RATE // FRAME_SAMPLES

# eSpeak's English labels in classes as TIMIT's 61 are in 39 (Lee and Hon 1989): reduced vowels join full ones,
# r-coloured and triple vowels are split into their parts.
CONSONANTS = ("p", "b", "t", "d", "k", "ɡ", "tʃ", "dʒ", "f", "v", "θ", "ð", "s", "z", "ʃ", "ʒ", "h", "m", "n", "ŋ",
              "l", "ɹ", "w", "j", "ɾ")  # fmt: skip
VOWELS = ("iː", "ɪ", "ɛ", "æ", "ɑː", "ɔː", "ʊ", "uː", "ʌ", "ə", "ɜː", "ɚ", "eɪ", "aɪ", "ɔɪ", "oʊ", "aʊ")
PHONEMES = CONSONANTS + VOWELS
FOLDED = {"i": "iː", "ᵻ": "ɪ", "ɐ": "ə", "ɔ": "ɔː", "ɑ": "ɑː", "ɔːɹ": "ɔː ɹ", "ɑːɹ": "ɑː ɹ", "ɪɹ": "ɪ ɹ", "ɛɹ": "ɛ ɹ",
          "ʊɹ": "ʊ ɹ", "əl": "ə l", "aɪə": "aɪ ə", "aɪɚ": "aɪ ɚ", "iə": "iː ə", "ʔ": "t", "n̩": "ə n"}  # fmt: skip
BLANK = 0


@dataclass(frozen=True)
class Config:
    """Widths of the network; the released wav2vec2-base has 7 x 512, 768, 12, 12 and 3072.

    The first convolutions see many frames and cost most of the time, so they are the narrowest.
    """

    conv_widths: tuple[int, ...] = (24, 32, 32, 48, 64, 96, 128)
    width: int = 192
    layers: int = 3
    heads: int = 4
    feed_forward: int = 512


LAPTOP, SMOKE = Config(), Config((16, 16, 24, 24, 32, 32, 32), width=48, layers=1, heads=2, feed_forward=96)


class SpeechEncoder(nn.Module):
    """Transformers' own Wav2Vec2Model at reduced size, and a linear phoneme head."""

    def __init__(self, config: Config = LAPTOP):
        super().__init__()
        from transformers import Wav2Vec2Config, Wav2Vec2Model

        self.encoder = Wav2Vec2Model(Wav2Vec2Config(
            conv_dim=list(config.conv_widths), hidden_size=config.width, num_hidden_layers=config.layers,
            num_attention_heads=config.heads, intermediate_size=config.feed_forward, do_stable_layer_norm=True,
            num_conv_pos_embeddings=32, num_conv_pos_embedding_groups=16 if config.width % 16 == 0 else 1,
            hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0, layerdrop=0.0,
            apply_spec_augment=False, mask_time_prob=0.0, vocab_size=len(PHONEMES) + 1,
        ))  # fmt: skip
        self.head = nn.Linear(config.width, len(PHONEMES) + 1)

    def encode(self, audio: Tensor) -> Tensor:
        """Audio (B, N), normalised, to hidden (B, Ta, C) at 50 Hz."""
        return self.encoder(audio).last_hidden_state

    def forward(self, audio: Tensor) -> Tensor:
        """Audio (B, N), normalised, to phoneme logits (B, Ta, 1 + P)."""
        return self.head(self.encode(audio))


def normalise(audio: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance per clip, as the released processor does; (N,) float32."""
    audio = np.asarray(audio, np.float32)
    return ((audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)).astype(np.float32)


def frame_count(samples: int) -> int:
    """Frames Ta of a clip of N samples: (N - 400) // 320 + 1."""
    return max(0, (samples - FIELD_SAMPLES) // FRAME_SAMPLES + 1)


def classes(label: str) -> list[int]:
    """Classes 1..P of an eSpeak label without stress mark; silence is the empty list; KeyError for another language."""
    folded = FOLDED.get(label, label).split()
    return [PHONEMES.index(phone) + 1 for phone in folded if _known(phone)]


def _known(phone: str) -> bool:
    if phone not in PHONEMES:
        raise KeyError(f"phoneme {phone!r} is not among the English phonemes {' '.join(PHONEMES)}")
    return True


def greedy_decode(logits: Tensor) -> list[int]:
    """Best class of each frame (Ta, 1 + P), repeats merged, blanks dropped."""
    best = torch.unique_consecutive(logits.argmax(-1))
    return best[best != BLANK].tolist()


def edit_distance(a: list[int], b: list[int]) -> int:
    """Smallest number of insertions, deletions and substitutions between two sequences (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, above = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y)))
    return row[-1]


def phone_error_rate(guesses: list[list[int]], truths: list[list[int]]) -> float:
    """Edits over all utterances divided by the number of true phonemes."""
    edits = sum(edit_distance(g, t) for g, t in zip(guesses, truths, strict=True))
    return edits / sum(len(t) for t in truths)


class SpeechFeatures:
    """Frozen speech features of one foundation: `features(audio)` at 50 Hz.

    name      goes into every table: which foundation, trained how
    width     C, size of a feature
    released  whether these are the released weights (else a stand-in trained here)
    """

    rate_hz = RATE_HZ

    def __init__(self, name: str, encoder: nn.Module, *, released: bool):
        self.name, self.released = name, released
        self.encoder = encoder.eval().requires_grad_(False)          # a Wav2Vec2Model
        self.width = encoder.config.hidden_size

    @torch.inference_mode()
    def features(self, audio: np.ndarray) -> np.ndarray:
        """Raw audio (N,) at 16 kHz in [-1, 1] to hidden (Ta, C) float32; at least 25 ms."""
        place = next(self.encoder.parameters()).device
        batch = torch.from_numpy(normalise(audio))[None].to(place)
        return self.encoder(batch).last_hidden_state[0].float().cpu().numpy()

    def batch(self, clips: list[np.ndarray], *, progress: bool = True) -> list[np.ndarray]:
        """Features of many clips, each alone: padding would change the numbers of a group-normalised encoder."""
        from tqdm.auto import tqdm

        return [self.features(clip) for clip in tqdm(clips, desc="speech features", leave=False, disable=not progress)]

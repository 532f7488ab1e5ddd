"""eSpeak NG behind a small server: one fresh process per utterance, so that the same request gives the same samples.

eSpeak keeps hidden state from one utterance to the next (two calls in one process give different waveforms). The server
is a separate interpreter that loads nothing but the standard library and eSpeak, initialises eSpeak once, and forks
for every request: each utterance starts from the same state and is bit-identical, at about 12 ms each. Breathy voices
hold noise of a generator that eSpeak seeds with the clock at the start of a process: it is given a fixed seed instead.

Run by `lib.puppet.voice` as `python -m lib.puppet.espeak`. Protocol on standard input and output: a request is one line
of JSON (`text`, `language`, `variant`, `parameters`); the answer is one line of JSON (`samples`, `rate`, `events` or
`error`), then `samples` 16-bit samples. End of input ends the server.
"""

import array
import ctypes
import json
import os
import sys

AUDIO_OUTPUT_SYNCHRONOUS = 2
PHONEME_EVENTS, PHONEME_IPA, DONT_EXIT = 1, 2, 0x8000
CHARS_UTF8, END_PAUSE = 1, 0x1000
EVENT_LIST_TERMINATED, EVENT_PHONEME = 0, 7
PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "range": 4, "word_gap": 7}  # espeak_PARAMETER


class Identifier(ctypes.Union):
    """Union `id` of espeak_EVENT; a phoneme event holds up to eight bytes of UTF-8."""

    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_void_p), ("string", ctypes.c_char * 8)]


class Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", Identifier),
    ]  # fmt: skip


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


def load() -> tuple[ctypes.CDLL, int]:
    """The initialised library and its sample rate; RuntimeError where eSpeak cannot start."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = os.fsencode(espeakng_loader.get_data_path())
    options = PHONEME_EVENTS | PHONEME_IPA | DONT_EXIT
    rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data, options)
    if rate <= 0:
        raise RuntimeError(f"eSpeak NG could not be initialised with its data in {data.decode()} (code {rate})")
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    return library, rate


def synthesise(library: ctypes.CDLL, request: dict) -> tuple[array.array, list]:
    """16-bit samples and phoneme events [label, sample] of a request; RuntimeError names what eSpeak refused."""
    samples, events = array.array("h"), []

    def collect(wave, count, event):
        if wave and count > 0:
            samples.frombytes(ctypes.string_at(wave, 2 * count))
        i = 0
        while event[i].type != EVENT_LIST_TERMINATED:
            if event[i].type == EVENT_PHONEME:
                label = ctypes.string_at(ctypes.addressof(event[i].id), 8).split(b"\0")[0]
                events.append([label.decode("utf-8", "ignore"), event[i].sample])
            i += 1
        return 0

    callback = Callback(collect)  # kept alive until the synthesis returns
    library.espeak_SetSynthCallback(callback)
    voice = f"{request['language']}+{request['variant']}" if request["variant"] else request["language"]
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise RuntimeError(f"eSpeak NG has no voice {voice!r}")
    for name, value in request["parameters"].items():
        library.espeak_SetParameter(PARAMETERS[name], int(value), 0)
    text = request["text"].encode() + b"\0"
    flags = CHARS_UTF8 | END_PAUSE
    if library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, flags, None, None) != 0:
        raise RuntimeError(f"eSpeak NG could not speak {request['text']!r}")
    library.espeak_Synchronize()
    return samples, events


def write(payload: bytes) -> None:
    """All bytes to standard output, without Python's buffers (they would be copied by a fork)."""
    view = memoryview(payload)
    while view:
        view = view[os.write(1, view) :]


def header(**fields) -> bytes:
    """One line of JSON."""
    return json.dumps(fields).encode() + b"\n"


def answer(library: ctypes.CDLL, rate: int, line: bytes) -> bytes:
    """Answer to one request, errors included."""
    try:
        samples, events = synthesise(library, json.loads(line))
    except Exception as error:
        return header(error=f"{error}")
    return header(samples=len(samples), rate=rate, events=events) + samples.tobytes()


def serve() -> None:
    """Answer requests until standard input ends, each in a process forked for it."""
    try:
        library, rate = load()
    except Exception as error:
        write(header(error=f"{type(error).__name__}: {error}"))
        return
    write(header(rate=rate))
    for line in sys.stdin.buffer:
        child = os.fork()
        if child == 0:
            write(answer(library, rate, line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status != 0:
            write(header(error=f"eSpeak NG crashed (status {status})"))


if __name__ == "__main__":
    serve()

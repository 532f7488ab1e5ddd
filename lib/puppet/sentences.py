"""The sentences that puppets speak, in banks that share no sentence.

bank       count  language  used by
en-main       28  en-us     the corpus; 8 to 13 words, 3 to 4 s, rich in closures (p b m), lip-teeth contacts (f v),
                            rounding (w oo) and wide vowels (ee aa)
en-judge      16  en-us     the emotion judges
en-ctc       320  en-us     the phoneme recogniser: 320 sentences of a small grammar, drawn without repetition
zh-main        8  cmn       Mandarin, for voices only

All were written for this project. A sentence id is "<bank>-<index>" with three digits, for example "en-main-003".
"""

from collections.abc import Iterator

from lib.errors import InputError

EN_MAIN = (
    "Before the boat moved, Papa put five warm apples in my pocket.",
    "We saw a huge purple balloon float above the farm at noon.",
    "My father never believed that the old bridge would fall down.",
    "Please bring both blue bowls and keep the bigger one for me.",
    "Every Monday morning the baker fills his window with fresh bread.",
    "You should have phoned me before you moved the piano upstairs.",
    "The wolf waited by the water while the moon came up.",
    "A calm voice on the phone promised that help was coming.",
    "Five brave women walked over the mountain in heavy rain.",
    "Nobody knew why the music stopped when she opened the box.",
    "Pack the warm gloves, because we leave for Poland at three.",
    "Who put the wet paper bag on top of my book?",
    "The farmer's boy feeds seven sheep before he goes to school.",
    "Move the lamp a bit, I cannot read my own map.",
    "Our team won the final match by two very lucky goals.",
    "She poured some cream on the plums and passed me a spoon.",
    "If it snows tomorrow, the whole family will stay at home.",
    "The bus to the beach leaves from platform four at half past two.",
    "Three women moved a beautiful table into the front room.",
    "I thought the movie was over, but the best part came later.",
    "Put your shoes by the door and wipe the mud off first.",
    "Someone has painted a big white fish above our bathroom mirror.",
    "They both laughed when the puppy jumped over a pile of leaves.",
    "Father bought a used van and drove it to the valley.",
    "Would you mind if we opened the window for a moment?",
    "The map we found was of a village near a frozen lake.",
    "He promised to be more careful with the pump from now on.",
    "A cool breeze moved over the pool while the children were asleep.",
)

EN_JUDGE = (
    "My uncle keeps bees behind a wooden fence near the river.",
    "The post office opens at eight and closes before supper.",
    "Give me a moment to finish this page of the newspaper.",
    "Two small foxes ran from the park into an empty garage.",
    "We have to be at the museum by a quarter to five.",
    "That big brown suitcase by the elevator belongs to my mother.",
    "The film begins with a long view of a foggy harbour.",
    "Perhaps you could move your bike a few feet to the left.",
    "Some people prefer tea with milk, others want only lemon.",
    "A woman with a violin stepped off the evening train.",
    "Both of our phones broke down in the middle of the forest.",
    "He whistled an old tune while he swept the porch.",
    "The government voted to open the old market hall again.",
    "Pam forgot her umbrella and came home soaking wet.",
    "You will find fresh soap in the box above the bath.",
    "Later that month the prices of butter and flour fell.",
)

ZH_MAIN = (
    "我爸爸每天早上买两个白面包。",
    "明天下午我们要坐飞机去法国。",
    "妹妹把苹果放在妈妈的书包旁边。",
    "这本书是我朋友送给我的礼物。",
    "外面风很大,请你把门关上。",
    "他们在公园里跑步,非常高兴。",
    "奶奶的房子前面有一棵大树。",
    "我不明白你为什么不回我的电话。",
)

# Words of the grammar of en-ctc. They hold every English phoneme, the rare ones (zh, oy, th, ng) several times.
SUBJECTS = (
    "the young nurse", "a quiet teacher", "my oldest cousin", "the boy next door", "our new pilot", "the tired judge",
    "an honest thief", "the king's cook", "a polite stranger", "the fisherman", "their grandmother", "that noisy crowd",
    "the Asian tourist", "a lazy donkey", "the mayor", "one of the twins", "the shy engineer", "a rude waiter",
    "the goldsmith", "her youngest daughter", "the choir", "a wise owl", "the television crew", "Joyce", "George",
    "Theodore", "Hugh", "Charlotte", "the royal guard", "a cheerful plumber", "the vet", "someone outside",
)  # fmt: skip
VERBS = (
    "painted", "noticed", "carried", "chose", "mended", "washed", "borrowed", "measured", "destroyed", "described",
    "found", "sold", "watched", "enjoyed", "touched", "examined", "shook", "polished", "threw", "buried", "guarded",
    "hid", "opened", "pushed", "pulled", "wrapped", "weighed", "admired", "brought", "checked", "kept", "loved",
)  # fmt: skip
OBJECTS = (
    "a silver watch", "three oranges", "the garage key", "an ancient vase", "the yellow curtain", "eight heavy boxes",
    "a bunch of grapes", "the broken toy", "his leather gloves", "a jar of honey", "the cheese", "some fresh oysters",
    "a piece of cloth", "the wooden chair", "a huge hammer", "the green sweater", "a thick rope", "her father's hat",
    "a cage with two mice", "the usual newspaper", "a shiny coin", "the treasure map", "a bowl of soup",
    "both bicycles", "the youngest sheep", "a birthday card", "the beige envelope", "a television", "five pigeons",
    "the engine", "a pair of scissors", "the thin thread",
)  # fmt: skip
PLACES = (
    "in the kitchen", "behind the church", "near the south gate", "under a low bridge", "at the edge of town",
    "beyond the quarry", "beside the lighthouse", "across the road", "on the third floor", "in a dark alley",
    "by the choir stairs", "outside the chapel", "along the avenue", "between the hedges", "before sunrise",
    "during the voyage", "after the long journey", "without a word", "with great pleasure", "for no good reason",
    "on Thursday", "last January", "in the usual way", "as if by chance", "throughout the year", "since Tuesday",
    "at four o'clock", "one stormy night", "in July", "with both thumbs", "very slowly", "yet again",
)  # fmt: skip
OPENINGS = ("", "", "I hear that ", "Maybe ", "They say ", "Of course ", "Yesterday ", "Why is it that ")
N_CTC = 320


def _grammar() -> Iterator[str]:
    """Sentences opening + subject + verb + object + place; strides coprime to the list lengths avoid repetition."""
    for i in range(N_CTC):
        lap = i // len(SUBJECTS)
        words = (SUBJECTS[i % 32], VERBS[(5 * i + 7 * lap) % 32], OBJECTS[(11 * i + 3 * lap) % 32])
        sentence = f"{OPENINGS[(i + lap) % 8]}{' '.join(words)} {PLACES[(19 * i + 13 * lap) % 32]}."
        yield sentence[0].upper() + sentence[1:]


BANKS: dict[str, tuple[str, ...]] = {
    "en-main": EN_MAIN,
    "en-judge": EN_JUDGE,
    "en-ctc": tuple(_grammar()),
    "zh-main": ZH_MAIN,
}


def ids(bank: str) -> tuple[str, ...]:
    """All sentence ids of a bank, in order."""
    if bank not in BANKS:
        raise InputError(f"sentence bank {bank!r}: unknown; the banks are {', '.join(BANKS)}")
    return tuple(f"{bank}-{i:03d}" for i in range(len(BANKS[bank])))


def text(sentence: str) -> str:
    """Words of a sentence id ("en-main-003"); InputError where there is no such sentence."""
    bank, _, index = sentence.rpartition("-")
    if bank not in BANKS or not index.isdecimal() or int(index) >= len(BANKS[bank]):
        raise InputError(f"sentence {sentence!r}: expected '<bank>-<index>' with a bank of {', '.join(BANKS)}")
    return BANKS[bank][int(index)]


def language(sentence: str) -> str:
    """eSpeak language of a sentence id: "en-us" or "cmn"."""
    text(sentence)
    return "cmn" if sentence.startswith("zh-") else "en-us"

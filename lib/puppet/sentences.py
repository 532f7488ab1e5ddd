"""The sentences that puppets speak, in banks that share no sentence.

bank       count  language  used by
en-main       28  en-us     the corpus; 8 to 13 words, 3 to 4 s, rich in closures (p b m), lip-teeth contacts (f v),
                            rounding (w oo) and wide vowels (ee aa)
en-judge      16  en-us     the emotion judges
en-ctc      1280  en-us     the phoneme recogniser: 320 sentences of a small grammar, then 960 rows of common and of
                            invented words, so that it must listen and cannot learn words by heart
zh-main        8  cmn       Mandarin, for voices only

All were written for this project. A sentence id is "<bank>-<index>" with at least three digits: "en-main-003".
"""

from collections.abc import Iterator
from random import Random

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
COMMON = """
a about above across act add afraid after again age agree air all almost alone along already always am among an and
angry animal another answer any apple are area arm army around arrive art as ask at away baby back bad bag ball band
bank bar base basket be bear beat beauty because bed before began behind believe bell belong below best better between
big bird bit black blood blow blue board boat body bone book born both bottom box boy branch brave bread break breath
bright bring brother brown build burn bus busy but buy by cake call came camp can capital captain car card care carry
case cat catch cause cell cent century chair chance change chart check child choose church circle city claim class clean
clear climb clock close clothes cloud coat cold collect colour come common complete cook cool copper corner cotton
could count country course cover cow cross crowd cry cup current cut dance danger dark daughter day dead deal dear death
decide deep degree desert design did die differ dinner direct do doctor does dog dollar done door double doubt down
dream dress drink drive drop dry duck during dust duty each ear early earth ease east easy eat edge effect egg eight
either electric else empty end enemy energy enjoy enough enter equal even evening ever every exact example eye face
fact fair fall family famous far farm fast fat father favour fear feed feel feet fellow felt few field fight figure
fill final find fine finger finish fire first fish fit five flat floor flow flower fly follow food foot for force
foreign forest forget form forward found four free fresh friend from front fruit full fun garden gas gather gave gentle
get girl give glad glass go goat gold gone good got grand grass gray great green grew ground group grow guess guide gun
had hair half hand happen happy hard has hat have he head hear heart heat heavy held help her here high hill him his
history hit hold hole home honest hope horse hot hour house how huge human hundred hunt hurry ice idea if in inch iron
island it job join joy judge jump just keep kept key kill kind king knee knew know lake land language large last late
laugh law lay lead learn leave left leg length less let letter level lie life lift light like line lion lip list listen
little live load local long look lost loud love low luck machine made make man many map mark market match matter may me
mean measure meat meet men metal method middle might mile milk mind minute miss mix model modern moment money month moon
more morning most mother mountain mouth move much music must my name nation nature near neck need neighbour never new
next nice night nine no noise noon north nose not note nothing notice now number object ocean of off offer office often
oil old on once one only open or orange order other our out over own page pain paint pair paper parent part party pass
past path pay people perhaps period person phrase picture piece place plain plan plane plant play please point poor
possible post pound power practice present press pretty print problem produce proper protect prove provide pull push put
queen question quick quiet quite race radio rain raise ran range rather reach read ready real reason red region remember
repeat reply rest result rich ride right ring rise river road rock roll room root rope rose round row rub rule run safe
said sail salt same sand sat save saw say scale school science score sea season seat second secret section see seed seem
self sell send sense sent serve set settle seven several shade shake shall shape share sharp she sheet shell shine ship
shirt shoe shop short should shoulder shout show side sign silent silver similar simple since sing sister sit size skin
sky sleep slip slow small smell smile smoke smooth snow so soft soil soldier solve some son song soon sound south space
speak special speech speed spell spend spoke spot spring square stand star start state station stay steel step stick
still stone stood stop store story strange stream street strong student study such sudden sugar suit summer sun sure
surface surprise sweet swim system table tail take talk tall taste teach team teeth tell ten test than thank that the
their them then there these they thick thin thing think third this those though thought thousand three through throw
time tiny to today together told tomorrow tone too took tool top total touch toward town track trade train travel tree
triangle trip trouble truck true try tube turn twenty two type uncle under unit until up us use usual valley value van
vary verb very view village visit voice vowel wait walk wall want war warm was wash watch water wave way we wear weather
week weight well went were west what wheel when where which while white who whole whose why wide wife wild will win wind
window wing winter wire wise wish with woman women wonder wood word work world worth would write wrong yard year yellow
yes yet you young your youth zero zone
"""
ONSETS = ("b", "bl", "br", "ch", "d", "dr", "f", "fl", "g", "gl", "h", "j", "k", "kr", "l", "m", "n", "p", "pl", "r",
          "s", "sh", "sk", "sn", "sp", "st", "t", "th", "tr", "v", "w", "y", "z")  # fmt: skip
NUCLEI = ("a", "e", "i", "o", "u", "ee", "ay", "oa", "oo", "ow", "oy", "ar", "or", "er", "ai", "aw")
CODAS = ("", "b", "d", "f", "g", "k", "l", "m", "n", "p", "s", "t", "v", "zz", "sh", "tch", "th", "ng", "nt", "st",
         "mp")  # fmt: skip
N_GRAMMAR, N_ROWS, ROW_WORDS = 320, 960, 9
OPENINGS = ("", "", "I hear that ", "Maybe ", "They say ", "Of course ", "Yesterday ", "Why is it that ")


def _grammar() -> Iterator[str]:
    """Sentences opening + subject + verb + object + place; strides coprime to the list lengths avoid repetition."""
    for i in range(N_GRAMMAR):
        lap = i // len(SUBJECTS)
        words = (SUBJECTS[i % 32], VERBS[(5 * i + 7 * lap) % 32], OBJECTS[(11 * i + 3 * lap) % 32])
        sentence = f"{OPENINGS[(i + lap) % 8]}{' '.join(words)} {PLACES[(19 * i + 13 * lap) % 32]}."
        yield sentence[0].upper() + sentence[1:]


def _rows() -> Iterator[str]:
    """Rows of nine words, two common ones to each invented one; `Random` keeps its sequence across versions."""
    draw, common = Random(0), COMMON.split()
    for _ in range(N_ROWS):
        words = [_invented(draw) if i % 3 == 2 else draw.choice(common) for i in range(ROW_WORDS)]
        yield " ".join(words).capitalize() + "."


def _invented(draw: Random) -> str:
    """One or two syllables that eSpeak reads by its rules."""
    syllables = draw.choice((1, 2))
    return "".join(draw.choice(ONSETS) + draw.choice(NUCLEI) + draw.choice(CODAS) for _ in range(syllables))


BANKS: dict[str, tuple[str, ...]] = {
    "en-main": EN_MAIN,
    "en-judge": EN_JUDGE,
    "en-ctc": (*_grammar(), *_rows()),
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

"""What a few words mean for the floor: an acknowledgement, an interruption, an unfinished phrase, a number.

English only for now, but for acknowledgements; other languages bring their own lists. Decides nothing: the machines do.
"""

# ruff: noqa: RUF001 - letters of other alphabets are meant as such
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from aywa.core.settings import ACKNOWLEDGEMENTS

_NOT_WORD = re.compile(r"[^\w\s]")
_HUM = re.compile(
    r"^(?:m+h*m*|h+m+p?h?|mm+|a+h+|o+h+|u+h+m*|u+h+hu+h+|uh ?huh|e+h+|m+ ?h+m+|hu+h+|hum+|um+|er+m*|mhmm?"
    r"|aha|(?:ha){2,}h?|(?:he){2,}h?|hah|tsk|ugh|w?hew|phew|ahem|h?a?t?choo|uhu|ajá|ähm*|äh+|öh+|euh+)$"
)
_NUMBER_WORD = (
    "zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred "
    "double triple"
).split()
# A turn that ends in one of these goes on, whatever the punctuation: recognisers put a full stop after everything.
_OPEN_ENDINGS = frozenset(
    "and or but because if while although unless the a an my your his our their every to of at for from "
    "with into onto between than im ive um uh er erm hmm very just".split()
)
YES_NO = frozenset(
    "yes yeah yep yup sure no nope nah okay ok right correct exactly absolutely definitely certainly".split()
)

# What listeners say, beside the contract's own list, by language. Regional variants share a list.
_ACKNOWLEDGEMENTS = {
    "en": (
        "yep", "yup", "cool", "great", "nice", "oh", "wow", "really", "exactly", "true", "correct", "absolutely",
        "definitely", "of course", "i know", "fine", "perfect", "good", "sounds good", "thats right", "makes sense",
        "fair enough", "very good", "thats good", "thats great", "thats fine", "all right", "interesting", "totally",
        "indeed", "i think so", "no problem", "no worries", "not bad", "oh no", "no way",
    ),
    "de": (
        "ja", "jaja", "jo", "genau", "ach so", "achso", "ach", "stimmt", "klar", "na klar", "verstehe", "ich verstehe",
        "alles klar", "gut", "sehr gut", "richtig", "aha", "okay gut", "in ordnung", "jawohl", "natürlich", "eben",
        "ja genau", "super", "prima", "schön", "verstanden", "doch",
    ),
    "es": (
        "sí", "si", "claro", "claro que sí", "vale", "ya", "ajá", "aja", "entiendo", "de acuerdo", "bueno", "bien",
        "muy bien", "exacto", "exactamente", "correcto", "perfecto", "ya veo", "así es", "por supuesto", "eso",
        "está bien", "okey", "cierto", "entendido",
    ),
    "fr": (
        "oui", "ouais", "daccord", "voilà", "je vois", "bien sûr", "exact", "exactement", "tout à fait", "très bien",
        "ok", "entendu", "compris", "je comprends", "ça marche", "cest ça", "parfait", "ah oui", "ah bon", "mouais",
        "effectivement",
    ),
    "it": (
        "sì", "si", "certo", "va bene", "capisco", "esatto", "ho capito", "capito", "giusto", "bene", "perfetto",
        "daccordo", "ecco", "infatti", "chiaro", "ah ok",
    ),
    "pt": (
        "sim", "claro", "tá", "tá bom", "tá bem", "está bem", "certo", "entendi", "pois é", "pois", "isso", "exato",
        "com certeza", "perfeito", "beleza", "percebo", "tudo bem",
    ),
    "nl": (
        "ja", "precies", "klopt", "oké", "snap ik", "begrijp ik", "ik begrijp het", "goed", "prima", "inderdaad",
        "juist", "natuurlijk", "jazeker", "is goed",
    ),
    "sv": ("ja", "jo", "precis", "okej", "jag förstår", "visst", "just det", "mm", "bra"),
    "da": ("ja", "jo", "præcis", "okay", "nemlig", "forstået", "fint", "godt"),
    "no": ("ja", "jo", "akkurat", "nettopp", "greit", "skjønner", "riktig"),
    "fi": ("joo", "kyllä", "niin", "aivan", "selvä", "okei", "just"),
    "pl": ("tak", "no", "no tak", "jasne", "dobrze", "dobra", "rozumiem", "aha", "dokładnie", "właśnie", "okej"),
    "cs": ("ano", "jo", "jasně", "dobře", "rozumím", "přesně", "aha"),
    "tr": ("evet", "tamam", "anladım", "tabii", "hı hı", "peki", "doğru", "olur"),
    "ru": ("да", "ага", "угу", "понятно", "хорошо", "ясно", "ладно", "конечно", "точно", "да да", "понял", "поняла"),
    "uk": ("так", "ага", "угу", "зрозуміло", "добре", "ясно", "звичайно", "точно"),
    "hi": ("हाँ", "हां", "जी", "जी हाँ", "अच्छा", "ठीक है", "ठीक", "सही", "haan", "ji", "accha", "theek hai"),
    "ar": ("نعم", "ايوه", "أيوه", "تمام", "طيب", "صح", "اه", "ماشي", "أكيد", "حسنا"),
    "ja": ("はい", "うん", "ええ", "そうですね", "なるほど", "そうですか", "へえ", "はいはい", "わかりました"),
    "zh": ("嗯", "对", "好", "好的", "是", "是的", "对对对", "对对", "行", "明白", "嗯嗯", "知道了"),
    "ko": ("네", "예", "응", "그래요", "그렇군요", "맞아요", "알겠습니다", "네네"),
}  # fmt: skip
# In another language than the call's these would take the floor.
_MISTAKABLE = frozenset("no|no tak|si|sim|just|true|doch|aja|eben".split("|"))


# Said before what one has to say, and often followed by a pause.
_OPENINGS = frozenset(
    "hello hi hey thanks thank you very much so well good morning afternoon evening listen excuse me there fine "
    "great alright anyway".split()
)


def normalise(text: str) -> str:
    """Lower case, no punctuation, single spaces: for comparing what was said, not how it was written."""
    return " ".join(_NOT_WORD.sub("", text.replace("-", " ")).lower().split())


def words_of(text: str) -> list[str]:
    """The normalised words."""
    return normalise(text).split()


@lru_cache(maxsize=256)
def _longest_first(phrases: tuple[str, ...]) -> tuple[str, ...]:
    # An assistant's lists are asked about at every partial.
    return tuple(sorted({p for p in map(normalise, phrases) if p}, key=lambda p: (-len(p), p)))


@lru_cache(maxsize=64)
def acknowledgements(language: str = "") -> tuple[str, ...]:
    """The contract's list and what else listeners say: in the language ("de", "pt-BR"), and in English. Where the
    language is not known ("", "multi"), in all that we know, without what another language could mean otherwise."""
    spoken = language.lower().replace("_", "-").split("-")[0]
    if spoken in _ACKNOWLEDGEMENTS:
        return (*ACKNOWLEDGEMENTS, *dict.fromkeys((*_ACKNOWLEDGEMENTS["en"], *_ACKNOWLEDGEMENTS[spoken])))
    every = (p for listed in _ACKNOWLEDGEMENTS.values() for p in listed if p not in _MISTAKABLE)
    return (*ACKNOWLEDGEMENTS, *dict.fromkeys(every))


def is_acknowledgement(text: str, phrases: Iterable[str]) -> bool:
    """Every word belongs to an acknowledgement phrase or is a hum; an empty text is not one."""
    rest = f" {normalise(text)} "
    if not rest.strip():
        return False
    for phrase in _longest_first(tuple(phrases)):
        while f" {phrase} " in rest:
            rest = rest.replace(f" {phrase} ", " ", 1)
            rest = f" {rest.strip()} "
    return all(_HUM.match(word) for word in rest.split())


def has_interruption(text: str, phrases: Iterable[str]) -> bool:
    """One of the phrases stands in the text, as whole words."""
    said = f" {normalise(text)} "
    return any(f" {p} " in said for p in _longest_first(tuple(phrases)))


def floor_words(text: str, acknowledgements: Iterable[str]) -> int:
    """How many words of the text could take the floor: none if it only acknowledges; hums never count."""
    if is_acknowledgement(text, acknowledgements):
        return 0
    return sum(1 for word in words_of(text) if not _HUM.match(word))


def is_unfinished(text: str) -> bool:
    """The text ends where no sentence ends: an article, a conjunction, a hesitation, an ellipsis, a dash."""
    said = words_of(text)
    return marks_more(text) or (bool(said) and (said[-1] in _OPEN_ENDINGS or is_hum(said[-1])))


def marks_more(text: str) -> bool:
    """The recogniser wrote an ellipsis, a dash or a colon last."""
    return text.rstrip().endswith(("...", "\u2026", "-", "\u2013", ":"))


def is_hum(word: str) -> bool:
    """A hesitation or a hum, and no word; normalised."""
    return bool(_HUM.match(word))


def ends_in_comma(text: str) -> bool:
    """The recogniser put a comma last: weak evidence that more follows, because some put it after whole sentences."""
    return text.rstrip().endswith(",")


def ends_in_number(text: str) -> bool:
    """The last word is a digit, a number word or a single spelled letter: more of the same may follow."""
    said = words_of(text)
    if not said:
        return False
    last = said[-1]
    spelled = len(said) > 1 and len(last) == 1 and last.isalpha() and last not in "ai" and len(said[-2]) == 1
    return last.isdigit() or last in _NUMBER_WORD or spelled


def is_opening(text: str) -> bool:
    """Nothing but a greeting, thanks or the like, at most four words: what it leads up to may follow."""
    said = words_of(text)
    return 0 < len(said) <= 4 and all(word in _OPENINGS for word in said)


def is_short_answer(text: str) -> bool:
    """A yes, a no or their like, at most three words."""
    said = words_of(text)
    return 0 < len(said) <= 3 and said[0] in YES_NO and not is_unfinished(text)


def ends_in_punctuation(text: str) -> bool:
    """The text ends a sentence."""
    return text.rstrip().endswith((".", "!", "?"))


def contains_phrase(text: str, phrases: Sequence[str]) -> str | None:
    """The first of the phrases that stands in the text, as whole words; None if there is none."""
    said = f" {normalise(text)} "
    return next((p for p in phrases if normalise(p) and f" {normalise(p)} " in said), None)

"""How a caller's words end: in the middle of a phrase, of a number, of a spelled word, of an address, or where one may stop.

English only for now. Goes by the words alone: recognisers put marks where they like. Decides nothing.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

from aywa.core.turns import phrases


class Ending(StrEnum):
    """NOTHING: no words. OPEN: a phrase that goes on. LOOSE: it may end so, and mostly goes on. GROUP: digits or letters, and
    more may come. WHOLE_GROUP: as many as make a number, or a word that was said before. OPENING: a greeting or the like.
    ANSWER: yes or no. ASKED: a whole question or request, after which callers wait. CLAUSE: a
    short one, often the first of two. STATED: a sentence that reports something, and asks for nothing yet. SETTLED: what may
    be a whole sentence otherwise."""

    NOTHING = "no_words"
    OPEN = "unfinished_phrase"
    LOOSE = "loose_end"
    GROUP = "number"
    WHOLE_GROUP = "whole_number"
    OPENING = "opening_words"
    ANSWER = "short_answer"
    ASKED = "whole_question"
    CLAUSE = "short_clause"
    STATED = "statement"
    SETTLED = "settled_text"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SUBJECTS = _set("i we he she they you it who that there this")
_AUXILIARIES = _set(
    "am is are was were be been being has have had do does did will would can could should shall may might must cannot "
    "dont doesnt didnt wont wouldnt cant couldnt isnt arent wasnt werent havent hasnt hadnt shouldnt"
)
_STANDING = _set("am is are do does did can will have has cant dont didnt wont")
_CLAIMING = _set("tell told say said says think thought hope heard mean means believe know knew")
_BEFORE_THAT = _set("about like of is for to at with do know believe and")
_BE = _set("am is are was were")
# Not "well", "hell", "shell" and "shed", which stand for words of their own more often.
_CLITICS = _set(
    "im ive id ill its youre youve youd youll theyre theyve theyd theyll weve were wed thats thatll theres whats heres hes hed "
    "shes itll wheres"
)
_FUNCTION = _set(
    "and or but because if while although though unless whereas whether a an the my your our their every each another whose "
    "to of at for from with into onto between than about by until during since toward towards against under without via till "
    "like as near per behind i we he she they very just quite rather almost um uh er erm hmm not which"
)
# Words that may stand alone at the end after some verbs ("come in", "turn it on"), or of a question ("what is it for").
_PARTICLES = {
    "in": _set(
        "come came check checked log logged move moved live sign walk let drop put fill be call called get got was"
    ),
    "on": _set("it me them turn turned go hold is was be still move later so works been light put wait keep"),
    "by": _set("come came stop stopped go drop pass stand by close"),
    "under": _set("go went"),
    "behind": _set("am is are left fall stay"),
    "near": _set("is anywhere get"),
    "like": _set("look looks sound sounds you i"),
    "not": _set("or why course guess hope afraid probably maybe"),
}
_STRANDED = _set("for from with about of at to like in on by")
_ASKING = _set("what who where which whom how why when")
_STRANDING = _set("talk speak go come belong is it that this look sound for wait looking you")
_CLAUSE_WORDS = 6
_ANNOUNCEMENT_WORDS = 7
_ANNOUNCING = re.compile(
    r"(?:my (?:\w+ )?name is|this is|i have a (?:question|problem|request)|im calling (?:about|for)) \w+"
)
_BETWEEN = _set("still also already ever even always just")
_DETERMINERS = _set("a an the my your our his her their this that any")
_BEGINNINGS = (
    _SUBJECTS | _CLITICS | _DETERMINERS | _set("somebody someone nobody everything nothing something")
)
_OBJECT_VERBS = _set(
    "make get find give tell send put bring take have transfer report reset extend reach change open need want says say wants "
    "needs confirm add update"
)
_INTENDING = _set("to please you can could will would i we should must")
_GREETING = re.compile(
    r"(?:(?:and|but|so|well|um|uh|er|okay|ok|yes|no|then|sorry|excuse me|thanks|thank you|hi|hello|hey|hi there|hello there"
    r"|good (?:morning|afternoon|evening)) )*"
)
_FILLERS = (
    "well", "i mean", "you know", "let me see", "let me think", "let me check", "the thing is", "basically",
    "actually", "one more thing", "i was wondering", "hold on", "one moment", "wait",
)  # fmt: skip
_WANTING = re.compile(
    r"(?:i|we|id|wed|im|were|ill|well) (?:(?:would|will|am|are|just|really|also|still) )*"
    r"(?:like|love|want|wanna|need|prefer|rather|looking|trying|hoping|calling to|take|have to|wish|wondering|better)\b"
)
# With one of these behind the first clause there are two.
_LINKS = _set("and but or so because if although though unless since after before when while until even then")
_LINKED_FROM = 3
_SUBORDINATORS = _set("if because unless although though since after before when while once whenever until")
_BEFORE_CLAUSES = _set("and but so well yes no")
_DIGITS = _set("zero oh o one two three four five six seven eight nine")
_LARGER = _set(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy "
    "eighty ninety"
)
_WHOLE_COUNTS = frozenset((7, 10, 11, 16))
"""Digits of telephone numbers and of cards."""
_VERBS = _AUXILIARIES | _CLITICS | {"about"}
_LEADS = _set(
    "number is its at on spelled spell write that thats code pin account reference card id zip phone"
)
_ENDS_ADDRESS = _set("com net org edu gov io info biz co uk de fr es it ch at eu us ca")
_MAILBOXES = _set("gmail hotmail outlook yahoo icloud gmx aol proton protonmail")
_ADDRESS = re.compile(r"\b(?:e ?mail|mail|address)(?: address)? (?:is|its)\b|\bwrite to\b")
_WRITTEN_ADDRESS = re.compile(r"\S@\S+\.\w+[.,?!]?\s*\Z")

STRUCTURE = frozenset().union(
    _SUBJECTS, _AUXILIARIES, _CLITICS, _FUNCTION, _STRANDED, _ASKING, _BETWEEN, _DETERMINERS, _BEGINNINGS, _INTENDING,
    _SUBORDINATORS, _BEFORE_CLAUSES,
)  # fmt: skip
"""Words that hold sentences together and say nothing of the caller."""


@lru_cache(maxsize=512)
def ending_of(text: str) -> Ending:
    """What the text's end says by itself."""
    said = phrases.words_of(text)
    if not said:
        return Ending.NOTHING
    if _WRITTEN_ADDRESS.search(text):
        return Ending.SETTLED
    if phrases.is_short_answer(text):
        return Ending.ANSWER
    if phrases.is_opening(text):
        return Ending.OPENING if said != ["so"] else Ending.OPEN
    for judge in (_as_address, _as_group):
        ending = judge(said)
        if ending is not None:
            return ending
    if phrases.marks_more(text) or _is_open(said):
        return Ending.OPEN
    if _is_loose(said):
        return Ending.LOOSE
    # Whatever greeting goes before.
    joined = " ".join(said)
    greeted = _GREETING.match(joined)
    clause = joined[greeted.end() if greeted else 0 :]
    if _is_asked(clause.split()):
        return Ending.ASKED
    if _is_short_clause(clause):
        return Ending.CLAUSE
    return Ending.STATED if _is_statement(clause) else Ending.SETTLED


def _is_statement(clause: str) -> bool:
    """One main clause that says how things are: what the caller wants of it is still to come. Whoever has said what they
    want, or has added a second clause, mostly waits."""
    said = clause.split()
    if said[0] not in _BEGINNINGS or _WANTING.match(clause):
        return False
    return _LINKS.isdisjoint(said[_LINKED_FROM:])


def _is_short_clause(clause: str) -> bool:
    """A subject and a little more: what is said before "but", "because" and second sentences; or what announces one."""
    said = clause.split()
    if len(said) <= _ANNOUNCEMENT_WORDS and _ANNOUNCING.match(clause):
        return True
    return bool(said) and said[0] in _BEGINNINGS and 1 < len(said) <= _CLAUSE_WORDS


def _is_asked(clause: list[str]) -> bool:
    """Begins like a question, or ends in a request's last word."""
    if len(clause) < 3:
        return False
    if clause[-1] == "please" or clause[0] in _AUXILIARIES:
        return True
    return clause[0] in _ASKING and not _VERBS.isdisjoint(clause[:4])


def _as_address(said: list[str]) -> Ending | None:
    """An e-mail address: it ends after a dot and the last part of a name."""
    if said[-1] == "dot" or (said[-1] in _MAILBOXES and "at" in said[:-1]):
        return Ending.OPEN
    if len(said) > 2 and said[-2] == "dot" and said[-1] in _ENDS_ADDRESS and "at" in said:
        return Ending.SETTLED
    if "dot" in said[-4:-1] or (_ADDRESS.search(" ".join(said)) and "at" not in said):
        return Ending.GROUP
    return None


def _as_group(said: list[str]) -> Ending | None:
    """Digits or letters read out one by one."""
    digits, words = _digits_at_end(said)
    if (
        digits > 2
        or (digits == 2 and words == 2)
        or (digits and words < len(said) and said[-words - 1] in _LEADS - {"at", "on"})
    ):
        return Ending.WHOLE_GROUP if digits in _WHOLE_COUNTS else Ending.GROUP
    if said[-1] in ("double", "triple"):
        return Ending.GROUP
    letters = 0
    while letters < len(said) and len(said[-1 - letters]) == 1 and said[-1 - letters].isalpha():
        letters += 1
    if letters < 2 and said[-1] in ("a", "i"):
        return None
    if letters >= 2 or (letters and (len(said) == 1 or said[-2] in _LEADS)):
        word = "".join(said[len(said) - letters :])
        return Ending.WHOLE_GROUP if letters > 2 and word in said else Ending.GROUP
    return Ending.GROUP if said[-1] in ("spelled", "spelt") else None


def _digits_at_end(said: list[str]) -> tuple[int, int]:
    """How many digits were read out last, and in how many words."""
    digits = words = 0
    for word in reversed(said):
        if word.isdigit():
            digits += len(word)
        elif word in _DIGITS:
            digits += 1
        elif word in _LARGER:
            digits += 2
        elif word in ("double", "triple"):
            digits += 1 if word == "double" else 2
        else:
            break
        words += 1
    return digits, words


def _is_open(said: list[str]) -> bool:
    last, before = said[-1], said[-2] if len(said) > 1 else ""
    joined = " ".join(said)
    if (
        phrases.is_hum(last)
        or joined in ("so", "and so", "um so")
        or any(joined == f or joined.endswith(f" {f}") for f in _FILLERS)
    ):
        return True
    if last in _PARTICLES and before in _PARTICLES[last]:
        return last == "like" and before == "i"
    if last in _STRANDED and said[0] in _ASKING and before in _STRANDING and len(said) > 2:
        return False
    if last in ("in", "on"):
        return True
    if last == "may" and (before == "of" or before.isdigit()):
        return False
    if last in _AUXILIARIES | _CLITICS:
        # "Yes, I am": the verb stands for a sentence.
        return not (
            before in _SUBJECTS and (said[0] in phrases.YES_NO or (len(said) == 2 and last in _STANDING))
        )
    if last == "that" and before not in _BEFORE_THAT and not _CLAIMING.isdisjoint(said):
        return True
    if _asks_without_verb(said):
        return True
    return last in _FUNCTION and not (
        last == "i" and joined in ("so do i", "so am i", "neither do i", "me and i")
    )


def _asks_without_verb(said: list[str]) -> bool:
    """A question that has got as far as its subject: "when do you", "are you still", "could you tell me"."""
    place = next((at for at, word in enumerate(said[:4]) if word in _AUXILIARIES), None)
    if place is None or (place and said[0] not in _ASKING):
        return False
    rest = said[place + 1 :]
    subject = 2 if rest and rest[0] in _DETERMINERS else 1
    if said[place] in _BE:
        # "Where is it" is whole, "is breakfast" is not.
        return bool(rest) and (rest[-1] in _BETWEEN or (place == 0 and len(rest) <= subject))
    return (
        len(rest) <= subject
        or rest[-1] in _BETWEEN
        or rest[-2:] in (["tell", "me"], ["show", "me"], ["let", "me"])
    )


def _is_loose(said: list[str]) -> bool:
    """A verb that wants an object, or a clause that hangs on another one."""
    last, before = said[-1], said[-2] if len(said) > 1 else ""
    if last in ("before", "says", "anything", "possible") or (len(said) == 2 and said[0] in _ASKING):
        return True
    if last in _OBJECT_VERBS and before in _INTENDING and said[0] not in _ASKING:
        return True
    clause = said[1:] if said[0] in _BEFORE_CLAUSES else said
    asks = len(clause) > 1 and clause[1] in _AUXILIARIES
    return bool(clause) and clause[0] in _SUBORDINATORS and not asks and len(clause) <= 8

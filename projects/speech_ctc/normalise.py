"""Transcripts -> what is learned and compared: the same rules for targets and for the words that errors are counted in.

1. Unicode is composed (NFC), and compatibility forms such as ligatures and full-width letters are replaced (NFKC).
2. Letters become small (casefold would change them: the German sharp s stays).
3. Apostrophes of every kind within a word become '; other quotation marks go.
4. Dashes become spaces, other punctuation goes.
5. White space of any kind and length becomes one space; none at the ends.
"""

import re
import unicodedata

APOSTROPHES = "'\u2019\u2018\u02bc\uff07\u00b4`"
_WITHIN = re.compile(rf"(?<=\w)[{re.escape(APOSTROPHES)}](?=\w)")
_KEPT = "\0"  # stands for an apostrophe while the others go


def normalise_transcript(text: str) -> str:
    """See the module's docstring.

    >>> normalise_transcript("  Don\u2019t \u201cstop\u201d \u2013 well-known, O'Neil's!\\n")
    "don't stop well known o'neil's"
    """
    composed = _WITHIN.sub(_KEPT, unicodedata.normalize("NFKC", text.replace("\u00b4", "'"))).lower()
    words = "".join(_replaced(char) for char in composed)
    return " ".join(words.replace(_KEPT, "'").split())


def _replaced(char: str) -> str:
    kind = unicodedata.category(char)
    if char == _KEPT or kind[0] in "LMN":
        return char
    return " " if kind == "Pd" or kind[0] in "ZC" else ""


def alphabet_of(transcripts: list[str]) -> list[str]:
    """The characters of normalised transcripts, the space first, the others in the order of their code points."""
    found = {char for text in transcripts for char in text} - {" "}
    return [" ", *sorted(found)]


def encode(text: str, alphabet: list[str]) -> list[int]:
    """Symbols of a normalised transcript: 0 is the blank of CTC, so the first character of the alphabet is 1.

    Raises:
        KeyError: of a character that is not in the alphabet.
    """
    number = {char: place for place, char in enumerate(alphabet, 1)}
    return [number[char] for char in text]

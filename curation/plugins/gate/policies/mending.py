"""Fix texts before they are checked; recognise texts that are credits, and credits at the end of captions.

The rule `html` removes tags, and the rule `cut_credits` cuts credits. A fixed text keeps its language; its entries are
found again. If the fixed text has no entry, or the image already has the same text, the text stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.language.text_kinds import ELEMENTS, WORD_ELEMENTS, MarkedTexts
from curation.plugins.gate.filters import ImageBatch
from runtime.arrow import string_buffers
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from curation.run.tasks import MatchPlan

MENDED = "mended"  # the tally of fixed texts by the name of the rule

_IN_LINE = "a abbr b cite code em font i s small span strike strong sub sup u".split()  # These do not separate words.
_TAG = r"(?is)</?(?:{})(?:[ \t\n/][^<>]*)?(?:>|\z)"
_IN_WORDS = _TAG.format("|".join(_IN_LINE))
_BETWEEN = _TAG.format("|".join(ELEMENTS + WORD_ELEMENTS))
_COMMENT = r"(?s)<!--.*?-->"

_AGENCIES = (
    r"(?:dpa|afp|apa?|epa|efe|ansa|ntb|reuters|getty|imago|picture[ -]alliance|mauritius images|shutterstock|"
    r"adobe ?stock|stock\.adobe|istock(?:photo)?|alamy|keystone|unsplash|pixabay|pexels|depositphotos|fotolia)\b"
    r"(?:\.com)?"
)
_NAMED = (  # the words that stand before a name, as in `Foto: Kim Lee`
    r"(?:(?:photo|image|picture|bild|foto)? ?credits?|photos?|images?|pictures?|fotos?|"
    r"bild(?:er|quelle|rechte|nachweis)?|quelle|crédits?(?: photo)?|fotó|фото|fot\.|zdjęcie|kuva|kép|"
    r"imagen|immagine|illustration)"
)
_BY = r" ?(?:[:：]|©| by ) ?"
# One of these words and a colon begin a credit whatever follows, and are a credit if nothing follows.
_SOURCE = (
    r"(?:(?:image|photo|picture) (?:source|credits?|courtesy)|source(?: de l[’']image)?|(?:bild|foto)?quellen?|"
    r"bildnachweis|bildrechte|crédits?(?: photos?)?|fuentes?(?: de la imagen)?|fonte(?: (?:immagine|foto|da imagem))?|"
    r"bron|beeldbron|źródło(?: zdjęcia)?|zdroj(?: fot(?:o|ografie))?|forrás|kaynak|kilde|bildkälla|kuvalähde|"
    r"sumber(?: (?:foto|gambar))?|nguồn(?: ảnh)?|источник(?: (?:фото|изображения))?|джерело(?: фото)?|"
    r"πηγή(?: φωτο(?:γραφίας)?)?|المصدر|[图圖]片?[来來]源|[图圖]源|[图圖]片提供|(?:写真|画像)(?:提供|出典)|出典|"
    r"사진 ?(?:제공|출처)|출처)"
)
_WORDS = r"[^ ]+(?: [^ ]+){{0,{}}}"  # one word, and at most the given number of further words
_SIX = _WORDS.format(5)
_WHOLE = (
    rf"(?:©|\(c\)|copyright(?: ©| by|:)) ?{_SIX}",
    rf"{_NAMED} by {_SIX}",
    rf"(?:photo |image )?credits?: {_SIX}",
    rf"{_SOURCE} ?[:：] ?(?:{_SIX})?",
    rf"(?:{_NAMED}{_BY}(?:{_WORDS.format(3)} ?[/|–-] ?)?)?{_AGENCIES}(?: images)?(?: [0-9]+)?(?: ?[/|,] ?{_SIX})?",
)
_CREDIT = rf"(?i)\A[(\[]?(?:{'|'.join(_WHOLE)})[)\]]?\z"
_AT_END = (
    rf" ?[(\[](?:{_NAMED}{_BY}|©|(?:ap|afp) photo)[^()\[\]]*[)\]]",
    rf"(?: ?\|| -| ?[–—]+) ?(?:{_NAMED}{_BY})?(?:{_WORDS.format(2)} ?[/|] ?)?{_AGENCIES}[^.]*",
    rf"(?: ?[|,]| -| ?[–—]+|[.!?:]) ?{_NAMED}{_BY}{_SIX}",
    rf" © ?{_SIX}",
)
_CREDIT_AT_END = rf"(?i)(?:{'|'.join(_AT_END)})\z"
_CAPTION = r"[^ ]+ +[^ ]"  # A text that this matches has at least two words.


def without_tags(texts: pa.Array) -> pa.Array:
    """Return texts without tags and comments; tags between words leave a space.

    >>> without_tags(pa.array(["a <b>d</b>og<br />on <i>grass", "1 < 2 <br", "a &nbsp; b"])).to_pylist()
    ['a dog on grass', '1 < 2', 'a &nbsp; b']
    """
    offsets, data = string_buffers(texts)
    # Searching < with NumPy takes a fifth of Arrow's time. Only the few texts that have a < are searched for tags.
    signs = np.flatnonzero(data[offsets[0] : offsets[-1]] == ord("<")) + offsets[0]
    rows = np.unique(np.searchsorted(offsets, signs, side="right") - 1)
    mask = np.zeros(len(texts), bool)
    mask[rows] = MarkedTexts.of(texts.take(pa.array(rows))).are("html")
    mask = pa.array(mask)
    stripped = texts.filter(mask)
    for pattern, instead in ((_COMMENT, " "), (_IN_WORDS, ""), (_BETWEEN, " "), (r"\s+", " ")):
        stripped = pc.replace_substring_regex(stripped, pattern, instead)
    return pc.replace_with_mask(texts, mask, pc.utf8_trim_whitespace(stripped))


def without_credits(texts: pa.Array) -> pa.Array:
    """Return texts without the credit at their end, if at least two words are left.

    >>> without_credits(pa.array(["A red dog. Foto: Kim Lee/dpa", "A dog (Photo: Getty)", "Foto: Kim"])).to_pylist()
    ['A red dog', 'A dog', 'Foto: Kim']
    """
    mask = pc.match_substring_regex(texts, _CREDIT_AT_END).fill_null(False)
    credited = texts.filter(mask)
    cut = pc.utf8_trim_whitespace(pc.replace_substring_regex(credited, _CREDIT_AT_END, ""))
    return pc.replace_with_mask(texts, mask, pc.if_else(pc.match_substring_regex(cut, _CAPTION), cut, credited))


def is_credit(batch: ImageBatch) -> np.ndarray:
    """Return bool[text]: which texts say who made or owns the picture, and nothing else."""
    mask = pc.match_substring_regex(batch.texts.field("text"), _CREDIT).fill_null(False)
    return mask.to_numpy(zero_copy_only=False)


def removes_none(batch: ImageBatch) -> np.ndarray:
    """Return bool[text], False for all texts, because a rule of MENDS changes texts and does not remove any."""
    return np.zeros(len(batch.texts), bool)


MENDS: dict[str, Callable[[pa.Array], pa.Array]] = {"html": without_tags, "cut_credits": without_credits}


def mended(batch: ImageBatch, tallies: Tallies, plan: MatchPlan, rule: str) -> ImageBatch:
    """Return the images of a batch after a rule of MENDS has fixed their texts; tally the fixed texts.

    `plan` finds the entries of fixed texts.
    """
    texts = batch.texts
    offsets = np.append(0, np.cumsum(np.bincount(batch.image, minlength=batch.images.num_rows)))
    new_texts = MENDS[rule](texts.field("text"))
    rows = np.flatnonzero(pc.not_equal(new_texts, texts.field("text")).fill_null(False))
    rows = rows[_are_new(new_texts, offsets, rows)]
    if not len(rows):
        return batch
    languages = texts.field("language").take(pa.array(rows))
    matches = plan.matching.find(new_texts.take(pa.array(rows)), languages)
    has_entry = pc.greater(pc.list_value_length(matches["entries"]), 0)
    rows = rows[has_entry.to_numpy(zero_copy_only=False)]
    tallies.add(MENDED, len(rows), item=rule)
    new = {"text": new_texts.take(pa.array(rows)), "entries": matches["entries"].filter(has_entry)}
    old = texts.take(pa.array(rows))
    columns = [new.get(field.name, old.field(field.name)).cast(field.type) for field in texts.type]
    order = np.arange(len(texts))
    order[rows] = len(texts) + np.arange(len(rows))
    every = pa.concat_arrays([texts, pa.StructArray.from_arrays(columns, fields=list(texts.type))])
    return batch.with_texts(every.take(pa.array(order)), np.diff(offsets))


def _are_new(texts: pa.Array, offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return, for each of `rows`, indices of fixed texts, whether the text is new for its image: bool[row].

    A text is new if it is not empty, and equals neither a text of the image outside `rows` nor one of an earlier row.
    """
    changed = set(rows.tolist())
    new = np.zeros(len(rows), bool)
    image_of = np.searchsorted(offsets, rows, side="right") - 1
    for image in np.unique(image_of).tolist():
        begin = int(offsets[image])
        values = texts.slice(begin, int(offsets[image + 1]) - begin).to_pylist()
        seen = {text for row, text in enumerate(values, begin) if row not in changed} | {""}
        for k in np.flatnonzero(image_of == image).tolist():
            text = values[int(rows[k]) - begin]
            new[k] = text not in seen
            seen.add(text)
    return new

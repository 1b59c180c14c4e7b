"""Name the features of a text that `kernels.features` hashes to numbers, in plain Python.

The module says which features weighed most in a judgement. Tests compare the kernel with it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from curation.kernels.surroundings import FIELDS
from curation.plugins.gate.filters import ImageBatch
from curation.plugins.gate.judge.judge import OUTPUTS, JudgedOutput, classes, facts_of
from curation.plugins.gate.kernels import features as kernels
from curation.plugins.gate.kernels.phrases import ALONE, APART, LETTERS, MARK
from curation.plugins.gate.policies.word_tables import word_key
from curation.schemas import IMAGE_PLACES, PAGE_KINDS

_ALL = (1 << 64) - 1
_SLASH = ord("/")
_PLACES = tuple(IMAGE_PLACES)
MAX_REASONS = 3  # features that a reason names


class Judged(NamedTuple):
    """What the judge reads of a text and its image; a number is -1 where nothing is stated."""

    text: str
    kind: int  # an index in schemas.PAGE_KINDS, or their number for a text of a table
    url: str
    page_url: str
    places: int  # bits: bit n is set for the n-th of IMAGE_PLACES
    width: int
    height: int
    shown: int
    surroundings: int


class Feature(NamedTuple):
    """A feature of a text: its kind, of kernels.KINDS, its value in words, and its number."""

    kind: str
    value: str
    number: int


class _Text(NamedTuple):
    """What is read of a text: its words as classes of characters, its n-grams, and counts."""

    words: list[list[int]]
    spelled: list[str]
    ended: int  # how many of the words were read to their end
    grams: list[tuple[int, str]]
    letters: int
    capitals: int
    capital_words: int
    digits: int
    signs: set[str]


def reasons_of(batch: ImageBatch, judged: JudgedOutput) -> list[str]:
    """Return one string for each text: the percentage of the judged output, and the features that weighed most for it.

    At most MAX_REASONS features are named, each with a positive weight.
    """
    if not len(batch.texts):
        return []
    weights = judged.judge.weights[:, OUTPUTS.index(judged.output)].astype(np.int64)
    probable = judged.probabilities(batch)
    reasons = []
    for read, share in zip(_all_judged(batch), probable.tolist(), strict=True):
        weight_of: Counter[tuple[str, str]] = Counter()
        for feature in features_of(read):
            weight_of[feature.kind, feature.value] += int(weights[feature.number])
        heaviest = weight_of.most_common(MAX_REASONS)
        said = ", ".join(f"{name} {value}" for (name, value), weight in heaviest if weight > 0)
        reasons.append(f"{min(int(100 * share), 99)} %" + f": {said}" * bool(said))
    return reasons


def _all_judged(batch: ImageBatch) -> Iterator[Judged]:
    """Yield what the judge reads of each text."""
    facts = facts_of(batch.images)
    urls = batch.images["url"]
    pages = batch.images["page_url"]
    for text, image in zip(batch.texts.to_pylist(), batch.image.tolist(), strict=True):
        places, width, height, shown, surroundings = facts[:, image].tolist()
        yield Judged(
            text=text["text"] or "",
            kind=PAGE_KINDS.index(text["kind"]) if text["kind"] in PAGE_KINDS else len(PAGE_KINDS),
            url=urls[image].as_py() or "",
            page_url=text["page_url"] or pages[image].as_py() or "",
            places=places,
            width=width,
            height=height,
            shown=shown,
            surroundings=surroundings,
        )


def features_of(judged: Judged) -> list[Feature]:
    """Return all features of a text and its image; a feature that occurs twice is listed twice."""
    values = [Feature(kernels.KINDS[kind], said, _number(kind, value)) for kind, value, said in _values(judged)]
    return values if judged.kind == kernels.OF_TABLE else values + surroundings_features(judged.surroundings)


def surroundings_features(surroundings: int) -> list[Feature]:
    """Return the features of an image's surroundings, as `kernels.surroundings` numbers them; none for -1."""
    features = []
    for kind, (name, values) in enumerate(FIELDS.items(), kernels.FIRST_FIELD) if surroundings >= 0 else ():
        surroundings, value = divmod(surroundings, values)
        features.append(Feature(name, str(value), _number(kind, value)))
    return features


def _number(kind: int, value: int) -> int:
    value = (value + kind * int(kernels.SPREAD_KINDS)) & _ALL
    return (value * int(kernels.SPREAD) & _ALL) >> (64 - kernels.BITS)


def _step(value: int) -> int:
    octave = max(0, value.bit_length() - 3)
    return 4 * octave + (value >> octave)


def _values(judged: Judged) -> Iterator[tuple[int, int, str]]:
    """Yield kind, value and value in words of each feature."""
    read = _read(judged.text)
    few = min(len(read.words), kernels.MAX_COUNTED_WORDS)
    yield from _of_text(judged.text, read)
    host_begin, folders, stem, ending = _parts(judged.url.encode())
    for word in _path_words(folders)[: kernels.MOST_FOLDERS]:
        yield kernels.FOLDER, word_key(word), word.decode()
    yield kernels.FOLDERS, min(folders.count(_SLASH), 8), str(folders.count(_SLASH))
    in_name = _path_words(stem)[: kernels.MOST_FILE]
    for word in in_name:
        yield kernels.FILE_WORD, word_key(word), word.decode()
    yield kernels.ENDING, word_key(ending[:6].lower()), ending[:6].decode(errors="replace")
    name = b"/" + (stem.lower() + b"/")[: kernels.MOST_NAME + 1]
    for end in range(4, len(name) + 1):
        gram = re.sub(b"[0-9]", b"0", name[end - 4 : end])
        yield kernels.FILE_GRAM, int.from_bytes(gram, "big"), gram.decode(errors="replace")
    listed = [[*word] for word in in_name]
    common = sum(word in listed for word in read.words)
    share = 4 * common // max(len(read.words), 1)
    yield kernels.OVERLAP, 8 * share + few, f"{25 * share} % of {few}"
    yield kernels.KIND, judged.kind, str(judged.kind)
    yield from _of_facts(judged, few)
    yield from _of_page(judged, few, judged.url.encode()[host_begin:])


def _read(text: str) -> _Text:
    read = _Text([], [], 0, [], 0, 0, 0, 0, set())
    word: list[int] = []
    gram: list[tuple[int, str]] = [(APART, " ")]
    for character in [*text, ""]:
        if len(read.words) >= kernels.MOST_WORDS or read.letters >= kernels.MOST_LETTERS:
            break
        letter = _class_of(character)
        if character.isascii() and character:
            read = read._replace(digits=read.digits + character.isdigit())
            read.signs.update(alike for alike in kernels.SIGNS if character in alike)
        if letter == MARK:
            continue
        is_upper = letter >= kernels.UPPER
        letter %= kernels.UPPER
        if word and (letter == APART or letter >= ALONE):
            read.words.append(word)
            read.spelled.append("".join(map(chr, word)))
            word = []
        if letter != APART or gram[-1][0] != APART:
            gram.append((letter, chr(letter % ALONE) if letter else " "))
            if len(gram) >= 4:
                read.grams.append(_joined(gram[-4:]))
        if letter >= ALONE and len(read.words) < kernels.MOST_WORDS:
            read.words.append([letter])
            read.spelled.append(chr(letter - ALONE))
            read = read._replace(letters=read.letters + 1)
        elif letter != APART and letter < ALONE:
            read = read._replace(
                letters=read.letters + 1,
                capitals=read.capitals + is_upper,
                capital_words=read.capital_words + (is_upper and not word),
            )
            word.append(letter)
    read = read._replace(ended=len(read.words))
    if word and len(read.words) < kernels.MOST_WORDS:
        read.words.append(word)
        read.spelled.append("".join(map(chr, word)))
    return read


def _class_of(character: str) -> int:
    """Return the class of a character; an empty text, and a character that has none, are like a space."""
    is_known = character and ord(character) < LETTERS
    return int(classes()[ord(character)]) if is_known else APART


def _joined(gram: list[tuple[int, str]]) -> tuple[int, str]:
    """Return the number of an n-gram, given the number of each of its characters, and its characters as one text."""
    value = 0
    for unit, _ in gram:
        value = value << 16 | unit & 0xFFFF
    return value, "".join(spelled for _, spelled in gram)


def _of_text(text: str, read: _Text) -> Iterator[tuple[int, int, str]]:
    keys = [word_key(word) for word in read.words]
    number = len(keys)
    few = min(number, kernels.MAX_COUNTED_WORDS)
    before = 0
    before_spelled = ""
    for key, spelled in zip(keys[: read.ended], read.spelled, strict=False):
        yield kernels.WORD, key, f"“{spelled}”"
        yield kernels.PAIR, (before + key * int(kernels.SPREAD)) & _ALL, f"“{before_spelled} {spelled}”"
        before = key
        before_spelled = spelled
    for value, said in read.grams:
        yield kernels.GRAM, value, f"“{said}”"
    if keys:
        yield kernels.FIRST, keys[0], f"“{read.spelled[0]}”"
        yield kernels.LAST, keys[-1], f"“{read.spelled[-1]}”"
        yield kernels.WHOLE, word_key(keys[: read.ended]), f"“{' '.join(read.spelled)}”"
    for number_of_sign, alike in enumerate(kernels.SIGNS, 1):
        if alike in read.signs:
            yield kernels.SIGN, number_of_sign, alike
    size = len(text.encode())
    last = text[-1:] if text[-1:].isascii() and text and int(classes()[ord(text[-1])]) == APART else ""
    first_class = int(classes()[ord(text[0])]) if text and ord(text[0]) < LETTERS else APART
    yield kernels.WORDS, _step(number), str(number)
    yield kernels.LENGTH, _step(size), f"{size} bytes"
    yield kernels.CAPITALS, 8 * read.capitals // max(read.letters, 1), f"{read.capitals} of {read.letters} letters"
    share = 4 * read.capital_words // max(number, 1)
    yield kernels.CAPITAL_WORDS, 8 * share + few, f"{read.capital_words} of {number}"
    yield kernels.DIGITS, _step(read.digits), str(read.digits)
    yield kernels.END, ord(last) if last else 0, last or "a letter"
    begins = (first_class >= kernels.UPPER) + 2 * (first_class == APART)
    yield kernels.BEGIN, begins, ("a small letter", "a capital", "a sign")[begins]


def _of_facts(judged: Judged, few: int) -> Iterator[tuple[int, int, str]]:
    places, width, height, shown = judged.places, judged.width, judged.height, judged.shown
    names = [name for bit, name in enumerate(_PLACES) if places >> bit & 1]
    for bit, name in enumerate(_PLACES):
        if places >> bit & 1:
            yield kernels.PLACE, bit, name
    where = ", ".join(names) or "none"
    side = min(width, height)
    yield kernels.PLACES, places, where
    yield kernels.PLACES_WORDS, 8 * places + few, f"{where}; {few}"
    yield kernels.PLACES_SIDE, 64 * places + (_step(side) if side >= 0 else -1) + 1, f"{where}; {_stated(side)}"
    for kind, value in ((kernels.WIDTH, width), (kernels.HEIGHT, height), (kernels.SHOWN, shown)):
        yield kind, _step(value) + 1 if value >= 0 else 0, _stated(value)
    if width >= 0 and height > 0:
        yield kernels.SIZE, width * 65536 + height, f"{width} × {height}"
        yield kernels.RATIO, _step(16 * width // height), f"{width / height:.2f}"


def _stated(number: int) -> str:
    return str(number) if number >= 0 else "not stated"


def _of_page(judged: Judged, few: int, behind_host: bytes) -> Iterator[tuple[int, int, str]]:
    site = 0
    same_host = 0
    if judged.page_url and judged.kind != kernels.OF_TABLE:
        host = _host(judged.page_url.encode())
        site = 1 + _holds(judged.text.encode(), _label(host))
        same_host = 1 if behind_host.lower().startswith(host.lower()) else 2
    yield kernels.SITE, 8 * site + few, ("no page", "is not in the text", "is in the text")[site] + f"; {few}"
    yield kernels.HOST, same_host, ("no page", "the host of the page", "another host than the page's")[same_host]
    yield kernels.PAGE, 8 * (site > 0) + few, f"{'stated' if site else 'none'}; {few}"


def _parts(url: bytes) -> tuple[int, bytes, bytes, bytes]:
    """Return where the host of a URL begins, and the folders, the name of the file and its ending in its path."""
    colon = url.find(b":")
    host = min((colon if colon >= 0 else len(url)) + 3, len(url))
    stops = [url.find(sign, host) for sign in b"?#"]
    end = min((stop for stop in stops if stop >= 0), default=len(url))
    begin = url.find(b"/", host, end)
    if begin < 0:
        return host, b"", b"", b""
    first = url.rfind(b"/", host, end) + 1
    dot = url.rfind(b".", first, end)
    dot = dot if dot > first else end
    return host, url[begin:first], url[first:dot], url[dot:end]


def _path_words(path: bytes) -> list[bytes]:
    words: list[bytes] = []
    word = b""
    before = False  # whether the byte before is a small letter
    i = 0
    while i < len(path):
        byte = path[i : i + 1]
        if word and (not byte.isalpha() or (byte.isupper() and before)):
            words.append(word)
            word = b""
        word += byte.lower() if byte.isalpha() else b""
        before = byte.islower()
        i += 3 if byte == b"%" else 1
    return [*words, word] if word else words


def _host(url: bytes) -> bytes:
    """Return the host of a URL without userinfo, port and final dots."""
    _, slashes, rest = url.partition(b"://")
    for stop in b"/?#\\":
        rest = rest.partition(bytes([stop]))[0]
    rest = rest.rpartition(b"@")[2]
    if not rest.startswith(b"["):
        rest = rest.partition(b":")[0]
    return rest.rstrip(b".") if slashes else b""


def _label(host: bytes) -> bytes:
    """Return the longest label of a host before its last one; the first of several."""
    return max(host.split(b".")[:-1], key=len, default=b"")


def _holds(text: bytes, label: bytes) -> bool:
    """Return whether a text has the letters and digits of a label in order, with only signs between them."""
    wanted = _named(label)
    text = text[: kernels.MOST_NAMED]
    if len(label) < 3 or not wanted:
        return False
    return any(
        text[k : k + 1].lower() == wanted[:1] and _named(text[k:]).startswith(wanted)
        for k in range(kernels.MOST_LETTERS)
    )


def _named(signs: bytes) -> bytes:
    """Return letters and digits in lower case; bytes outside ASCII are letters."""
    return bytes(byte for byte in signs.lower() if byte >= 0x80 or bytes([byte]).isalnum())

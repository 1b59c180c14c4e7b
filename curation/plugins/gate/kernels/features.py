"""Find the features of an image and its text from which `judge` tells junk and headlines, each hashed to a number.

A feature is a kind, of KINDS, and a value: the hash of a word, or a number. A text has at most MAX_FEATURES features.
They are made of its first words and letters, the last part of the URL's path, and the folders nearest to the host.
"""

import numpy as np

from curation.kernels.exclusion import host_span
from curation.kernels.surroundings import FIELDS
from curation.kernels.texts import LOWERED
from curation.plugins.gate.kernels.phrases import ALONE, APART, BASIS, MARK, PRIME, SPREAD, letter_at
from runtime.kernels import lean, part
from runtime.kernels.machine import byte_at, leading_ones, ones

KINDS = (
    *("word", "pair of words", "whole text", "first word", "last word", "letters", "words", "length", "capitals"),
    *("capital words", "digits", "sign", "end", "begin", "words of its file's name", "site", "kind", "width", "height"),
    *("size", "ratio", "shown", "place", "places", "places and words", "places and side", "host", "page"),
    *("ending", "word of the file's name", "letters of the file's name", "word of a folder", "folders"),
    *FIELDS,
)
(WORD, PAIR, WHOLE, FIRST, LAST, GRAM, WORDS, LENGTH, CAPITALS, CAPITAL_WORDS, DIGITS, SIGN, END, BEGIN) = range(14)
(OVERLAP, SITE, KIND, WIDTH, HEIGHT, SIZE, RATIO, SHOWN, PLACE, PLACES, PLACES_WORDS, PLACES_SIDE, HOST) = range(14, 27)
(PAGE, ENDING, FILE_WORD, FILE_GRAM, FOLDER, FOLDERS, FIRST_FIELD) = range(27, 34)
FIELD_VALUES = np.array([*FIELDS.values()])

BITS = 16  # the bits of a feature's number
PACKED = 1 << 20  # This is more than twice the largest sum of all weights of a text.
MOST_WORDS, MOST_LETTERS = 24, 96  # Later words and letters of a text are not read.
MOST_FILE, MOST_FOLDERS = 16, 16  # the most words of the file's name and of folders
MOST_NAME = 48  # the most bytes of the file's name
MOST_NAMED = 160  # The name of the site is looked for in this many bytes of a text.
MAX_COUNTED_WORDS = 7  # Features of the number of words and another fact count no more words.
MAX_FEATURES = 4 * MOST_WORDS + MOST_LETTERS + MOST_FILE + MOST_FOLDERS + MOST_NAME + 64
UPPER = 1 << 26  # In the table `classes`, this is added to the class of a capital letter.
# `facts` has these rows and a column for each image: the bits of where it is on the page, from 0 on; its stated width
# and height, or -1; how often it is shown, or -1 if nobody counted; and its surroundings, or -1 if nobody read them.
PLACES_OF, WIDTH_OF, HEIGHT_OF, SHOWN_OF, SURROUNDINGS_OF = range(5)
FACTS = 5
PLACE_BITS = 9
OF_TABLE = 3  # the kind of a text of a table, or of a caption: the judge reads no page for it

SPREAD_KINDS = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(64 - BITS)
# The bytes of paths have these classes. A byte continues a word if its class has the bits of the class before it.
_CAPITAL = np.int64(1)
_SMALL = np.int64(3)
_SIGN = np.int64(4)
_CASES = np.full(256, _SIGN, np.uint8)
_CASES[ord("A") : ord("Z") + 1] = _CAPITAL
_CASES[ord("a") : ord("z") + 1] = _SMALL
_LAST_WORD = 31  # the last index of scratch memory; an index masked by it needs no test for being negative
_SLASH, _DOT, _PERCENT = (np.uint8(ord(character)) for character in "/.%")
SIGNS = (":", "?", "!", ",", "_", "|", "-", "\"'", "(", "/", "&", "@", "#", "=", "{", ".")  # " and ' count as one.
_SIGN_BITS = np.zeros(256, np.int64)
for _number, _alike in enumerate(SIGNS, 1):
    _SIGN_BITS[[*_alike.encode()]] = 1 << _number
# _FOLDED has each byte in lower case; digits become 0.
_FOLDED = LOWERED.copy()
_FOLDED[ord("0") : ord("9") + 1] = ord("0")
# _NAMED has the bytes of letters and digits, ASCII or not, in lower case, and 0 for signs.
_NAMED = LOWERED.copy()
for _byte in range(0x80):
    if not chr(_byte).isalnum():
        _NAMED[_byte] = 0


@part
def number_of(kind, value):
    """Return the number, below 2**BITS, of the feature with a kind of KINDS and a value."""
    return np.int64(((np.uint64(value) + np.uint64(kind) * SPREAD_KINDS) * SPREAD) >> _SHIFT)


@part
def with_unit(word, unit):
    """Return the hash of a word with another byte or character added."""
    return (word ^ np.uint64(unit)) * PRIME


@part
def step(value):
    """Return the step of a number, at least 0, on a scale with four steps for each doubling."""
    octave = max(61 - leading_ones(~value), 0)
    return 4 * octave + (value >> octave)


@part
def is_digit(byte):
    return (ord("0") <= byte) & (byte <= ord("9"))


@part
def add_text(data, begin, end, classes, words, out):
    """Put the features of the text data[begin:end] into `out`, and the hashes of its words into `words`.

    Return the numbers of features and of words. Ends and begins of words are counted without a branch, as no branch
    predictor knows where words end.
    """
    i = begin
    number = np.int64(0)
    letters = np.int64(0)
    capitals = np.int64(0)
    capital_words = np.int64(0)
    digits = 0
    word = BASIS
    signs = np.int64(0)
    is_inside = False
    gram = np.uint64(0)  # It has four letters, of 16 bits each.
    count = np.int64(0)
    was_letter = False
    while i <= end and number < MOST_WORDS and letters < MOST_LETTERS:
        unit, size = letter_at(data, i, end, classes) if i < end else (np.int64(APART), np.int64(1))
        if i < end and data[i] < 0x80:
            signs |= _SIGN_BITS[data[i]]
            digits += is_digit(data[i])
        i += size
        if unit == MARK:
            continue
        is_letter = unit != APART
        is_upper = unit >= UPPER
        words[number & _LAST_WORD] = word
        number += is_inside & ((unit & ALONE != 0) | (not is_letter))
        gram = gram << np.uint64(16) | np.uint64(unit & 0xFFFF) if is_letter | was_letter else gram
        out[count & 255] = number_of(GRAM, gram)
        count += is_letter | was_letter
        was_letter = is_letter
        if unit & ALONE:
            is_inside = False
            if number < MOST_WORDS:
                words[number] = with_unit(BASIS, unit)
                number = number + 1
                letters = letters + 1
        else:
            capital_words += is_upper & (not is_inside)
            word = with_unit(word if is_inside else BASIS, unit & 0xFFFF)
            is_inside = is_letter
            letters += is_letter
            capitals += is_upper
    count = max(count, 2)  # The first two have fewer than three letters; two other features replace them below.
    before = np.uint64(0)
    whole = BASIS
    for k in range(number):
        out[count] = number_of(WORD, words[k])
        out[count + 1] = number_of(PAIR, before + words[k] * SPREAD)
        before = words[k]
        whole = with_unit(whole, words[k])
        count = count + 2
    if is_inside and number < MOST_WORDS:  # The text was cut within a word.
        words[number] = word
        number += 1
    out[0] = number_of(WORDS, step(number))
    out[1] = number_of(LENGTH, step(end - begin))
    if number > 0:
        out[count] = number_of(FIRST, words[0])
        out[count + 1] = number_of(LAST, words[number - 1])
        out[count + 2] = number_of(WHOLE, whole)
        count += 3
    for sign in range(1, len(SIGNS) + 1):
        out[count] = number_of(SIGN, sign)
        count += signs >> sign & 1
    first_class = np.int64(APART)
    last_byte = np.int64(0)
    if begin < end:
        first_class, _ = letter_at(data, begin, end, classes)
        last_byte = np.int64(data[end - 1]) if data[end - 1] < 0x80 and classes[data[end - 1]] == APART else 0
    few = min(number, MAX_COUNTED_WORDS)
    out[count] = number_of(CAPITALS, 8 * capitals // max(letters, 1))
    out[count + 1] = number_of(CAPITAL_WORDS, 8 * (4 * capital_words // max(number, 1)) + few)
    out[count + 2] = number_of(DIGITS, step(digits))
    out[count + 3] = number_of(END, last_byte)
    out[count + 4] = number_of(BEGIN, (first_class >= UPPER) + 2 * (first_class == APART))
    return count + 5, number


@part
def add_path_words(data, begin, end, kind, most, words, out, count):
    """Add the words of letters in the path data[begin:end] as features of a kind; put their hashes into `words`.

    A capital letter after a small letter begins a word. Return the numbers of features and of words.
    """
    i = begin
    escaped = begin
    number = np.int64(0)
    word = BASIS
    before = _SIGN
    while i < end and number < most:
        byte = byte_at(data, i)
        is_read = i >= escaped
        case = np.int64(_CASES[np.uint8(byte)]) if is_read else _SIGN
        is_same = case & before == before
        words[number & _LAST_WORD] = word
        number += (before & _CAPITAL) & (not is_same)
        word = with_unit(word if is_same else BASIS, byte | 32)
        before = case
        i = i + 1
        escaped = i + 2 if (byte == _PERCENT) & is_read else escaped
    words[number & _LAST_WORD] = word
    number += (before & _CAPITAL) if number < most else 0
    for k in range(number):
        out[count + k] = number_of(kind, words[k])
    return count + number, number


@part
def add_url(data, host, end, names, file_words, out, count):
    """Add the features of a URL whose host begins at data[host] and whose path ends at `end`.

    `names` has the begin and the end of its file's name, and the begin of the name's ending. The words of the name are
    put into `file_words`. Return the number of features and the number of these words.
    """
    i = host
    while i < end and byte_at(data, i) != _SLASH:
        i += 1
    first = max(names[0], i)
    last = max(names[1], i)
    dot = max(names[2], i)
    count, number = add_path_words(data, i, first, FOLDER, MOST_FOLDERS, file_words, out, count)
    folders = np.int64(0)
    for byte in data[i:first]:
        folders += byte == _SLASH
    count, number = add_path_words(data, first, dot, FILE_WORD, MOST_FILE, file_words, out, count)
    ending = BASIS
    for k in range(dot, min(last, dot + 6)):
        ending = with_unit(ending, LOWERED[data[k]])
    gram = np.uint64(_SLASH)  # It has four bytes.
    size = min(dot - first, MOST_NAME) + 1
    for k in range(size):
        byte = _FOLDED[np.uint8(byte_at(data, first + k))] if first + k < dot else _SLASH
        gram = (gram << np.uint64(8) | np.uint64(byte)) & np.uint64(0xFFFFFFFF)
        out[count + k] = number_of(FILE_GRAM, gram)
    # The first two of these grams have fewer than four bytes; two other features replace them.
    out[count] = number_of(FOLDERS, min(folders, 8))
    out[count + 1] = number_of(ENDING, ending)
    count += max(size, 2)
    return count, number


@part
def site_label(data, first, last):
    """Return the begin and the end of a site's name: the longest label of a host, except its last label."""
    begin = first
    best = first
    best_end = first
    for i in range(first, last):
        if byte_at(data, i) == _DOT:
            if i - begin > best_end - best:
                best = begin
                best_end = i
            begin = i + 1
    return best, best_end


@part
def holds_label(text, begin, end, data, first, last):
    """Return whether the begin of a text has the letters and digits of data[first:last]; signs are left out."""
    if last - first < 3:
        return False
    while first < last and not _NAMED[data[first]]:
        first += 1
    while first < last and not _NAMED[data[last - 1]]:
        last -= 1
    if first == last:
        return False
    end = min(end, begin + MOST_NAMED)
    one = _NAMED[data[first]]
    for start in range(begin, min(end, begin + MOST_LETTERS)):
        if _NAMED[np.uint8(byte_at(text, start))] == one:
            i = start
            k = first
            while i < end and k < last:
                letter, wanted = _NAMED[text[i]], _NAMED[data[k]]
                if letter != wanted and letter != 0 and wanted != 0:
                    break
                i = i + (wanted != 0)
                k = k + (letter == wanted or wanted == 0)
            if k == last:
                return True
    return False


@part
def add_facts(facts, few, out, count):
    """Add the features of an image's `facts`; `few` is the text's number of words, at most MAX_COUNTED_WORDS."""
    places = facts[PLACES_OF]
    width = facts[WIDTH_OF]
    height = facts[HEIGHT_OF]
    shown = facts[SHOWN_OF]
    for bit in range(PLACE_BITS):
        out[count] = number_of(PLACE, bit)
        count += places >> bit & 1
    side = np.int64(-1) if min(width, height) < 0 else step(min(width, height))
    out[count] = number_of(PLACES, places)
    out[count + 1] = number_of(PLACES_WORDS, 8 * places + few)
    out[count + 2] = number_of(PLACES_SIDE, 64 * places + side + 1)
    out[count + 3] = number_of(WIDTH, step(width) + 1 if width >= 0 else 0)
    out[count + 4] = number_of(HEIGHT, step(height) + 1 if height >= 0 else 0)
    out[count + 5] = number_of(SHOWN, step(shown) + 1 if shown >= 0 else 0)
    count += 6
    if width >= 0 and height > 0:
        out[count] = number_of(SIZE, width * 65536 + height)
        out[count + 1] = number_of(RATIO, step(16 * width // height))
        count += 2
    return count


@part
def add_surroundings(around, out, count):
    """Add the features of an image's surroundings, which are not -1."""
    for field in range(len(FIELD_VALUES)):
        out[count + field] = number_of(FIRST_FIELD + field, around % FIELD_VALUES[field])
        around //= FIELD_VALUES[field]
    return count + len(FIELD_VALUES)


@part
def features_of(
    text,
    begin,
    end,
    kind,
    url,
    host,
    path_end,
    names,
    page,
    page_begin,
    page_end,
    facts,
    classes,
    words,
    file_words,
    out,
):
    """Put the features of one text of an image into `out`; return their number."""
    count, number = add_text(text, begin, end, classes, words, out)
    few = min(number, MAX_COUNTED_WORDS)
    count, in_name = add_url(url, host, path_end, names, file_words, out, count)
    common = np.int64(0)  # It has a bit for each word of the text.
    for k in range(in_name):
        for i in range(number):
            common |= np.int64(words[i] == file_words[k]) << i
    out[count] = number_of(OVERLAP, 8 * (4 * ones(common) // max(number, 1)) + few)
    out[count + 1] = number_of(KIND, kind)
    count = add_facts(facts, few, out, count + 2)
    if facts[SURROUNDINGS_OF] >= 0 and kind != OF_TABLE:
        count = add_surroundings(facts[SURROUNDINGS_OF], out, count)
    site = np.int64(0)
    same_host = np.int64(0)
    if page_end > page_begin:
        first, last = host_span(page, page_begin, page_end)
        label, label_end = site_label(page, first, last)
        site = 1 + holds_label(text, begin, end, page, label, label_end)
        i = np.int64(0)
        size = last - first if last - first <= path_end - host else -1
        while i < size and LOWERED[url[host + i]] == LOWERED[page[first + i]]:
            i += 1
        same_host = 1 if i == size else 2
    out[count] = number_of(SITE, 8 * site + few)
    out[count + 1] = number_of(HOST, same_host)
    out[count + 2] = number_of(PAGE, 8 * (site > 0) + few)
    return count + 3


@lean
def score_texts(
    texts,
    offsets,
    kinds,
    images,
    url,
    paths,
    names,
    stated,
    stated_offsets,
    pages,
    page_offsets,
    facts,
    classes,
    weights,
    words,
    file_words,
    counts,
    numbers,
    scores,
):
    """Set scores[:, text] to the sums of the weights of a text's features, for both outputs.

    counts[text] is set to the number of features, and a row of `numbers`, uint16[row, MAX_FEATURES], to the features:
    the text's row if each text has one, else the only row.

    texts: bytes; offsets: int[text + 1]; kinds: int64[text], numbers of kinds of texts; images: int64[text], the row of
    each text's image. url, paths, names: the images' URLs, and the results of `find_paths` and `find_names`. The URL of
    a text's page is in `stated`; if it is empty there, it is in `pages`, by image. facts: int64[FACTS, image]; classes:
    int32[LETTERS]; weights: int32[2**BITS], the weight for the first output times PACKED, plus the weight for the
    second; words, file_words: scratch memory, uint64[32].
    """
    for text in range(len(counts)):
        row = numbers[text if len(numbers) == len(counts) else 0]
        image = images[text]
        page = stated
        page_begin = stated_offsets[text]
        page_end = stated_offsets[text + 1]
        if page_begin == page_end:
            page = pages
            page_begin = page_offsets[image]
            page_end = page_offsets[image + 1]
        if kinds[text] == OF_TABLE:
            page_end = page_begin
        count = features_of(
            texts,
            offsets[text],
            offsets[text + 1],
            kinds[text],
            url,
            paths[image, 0],
            paths[image, 1],
            names[image],
            page,
            page_begin,
            page_end,
            facts[:, image],
            classes,
            words,
            file_words,
            row,
        )
        total = np.int64(PACKED // 2)
        for k in range(count):
            total += weights[row[k]]
        counts[text] = count
        scores[0, text] = total // PACKED
        scores[1, text] = total % PACKED - PACKED // 2

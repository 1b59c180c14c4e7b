"""Find the features of an image and its text from which `judge` tells junk and headlines, each hashed to a number.

A feature is a kind, of KINDS, and a value: the hash of a word, or a number. A text has at most MOST features: its
first words and letters count, and so do the last part of the URL's path and the folders nearest to the host.
"""

import numpy as np

from curation.kernels.exclusion import host_span
from curation.kernels.texts import LOWERED
from curation.kernels.trie.tables import decode
from curation.leaves.gate.kernels.phrases import ALONE, APART, BASIS, LETTERS, MARK, PRIME, SPREAD
from runtime.kernels import lean, part

KINDS = (
    *("word", "pair of words", "whole text", "first word", "last word", "letters", "words", "length", "capitals"),
    *("capital words", "digits", "sign", "end", "begin", "words of its file's name", "site", "kind", "width", "height"),
    *("size", "ratio", "shown", "place", "places", "places and words", "places and side", "host", "page"),
    *("ending", "word of the file's name", "letters of the file's name", "word of a folder", "folders"),
)
(WORD, PAIR, WHOLE, FIRST, LAST, GRAM, WORDS, LENGTH, CAPITALS, CAPITAL_WORDS, DIGITS, SIGN, END, BEGIN) = range(14)
(OVERLAP, SITE, KIND, WIDTH, HEIGHT, SIZE, RATIO, SHOWN, PLACE, PLACES, PLACES_WORDS, PLACES_SIDE, HOST) = range(14, 27)
(PAGE, ENDING, FILE_WORD, FILE_GRAM, FOLDER, FOLDERS) = range(27, 33)

BITS = 16  # of a feature's number
MOST_WORDS, MOST_LETTERS = 24, 96  # of a text; later ones are not read
MOST_FILE, MOST_FOLDERS, MOST_NAME = 16, 16, 48  # words of the file's name and of folders, and bytes of the name
FEW = 7  # so many words, and more, are alike where the number of words meets another fact
MOST = 4 * MOST_WORDS + MOST_LETTERS + MOST_FILE + MOST_FOLDERS + MOST_NAME + 64
UPPER = 1 << 26  # added to the class of a capital letter in the table `classes`
# Columns of `facts`, one row per image: the bits of its places from 0 on, its stated size, -1 where none is stated, and
# how often it is shown, -1 where nobody counted.
PLACES_OF, WIDTH_OF, HEIGHT_OF, SHOWN_OF = range(4)
PLACE_BITS = 9
OF_TABLE = 3  # the kind of a text of a table, whose page is not read: nothing is known of what it states

SPREAD_KINDS = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(64 - BITS)
_SLASH, _DOT, _PERCENT = (np.uint8(ord(character)) for character in "/.%")
SIGNS = (":", "?", "!", ",", "_", "|", "-", "\"'", "(", "/", "&", "@", "#", "=", "{", ".")  # alike ones together
_SIGN_NUMBERS = np.zeros(128, np.uint8)
for _number, _alike in enumerate(SIGNS, 1):
    for _sign in _alike:
        _SIGN_NUMBERS[ord(_sign)] = _number


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
    """Return the number of a step of a scale with four steps an octave, from a number of 0 or more."""
    octave = np.int64(0)
    while value >> octave >= 8:
        octave += 1
    return 4 * octave + (value >> octave)


@part
def is_small_letter(byte):
    return (ord("a") <= byte) & (byte <= ord("z"))


@part
def is_capital(byte):
    return (ord("A") <= byte) & (byte <= ord("Z"))


@part
def is_digit(byte):
    return (ord("0") <= byte) & (byte <= ord("9"))


@part
def is_named(byte):
    """Return whether a byte is of a letter or a digit; those outside ASCII are."""
    return is_small_letter(LOWERED[byte]) or is_digit(byte) or byte >= 0x80


@part
def add_text(data, begin, end, classes, words, out, count):
    """Add the features of the text data[begin:end] to out[count:]; put the hashes of its words into `words`.

    Return how many features there are then, and how many words.
    """
    i, number, letters, capitals, capital_words, digits = begin, np.int64(0), np.int64(0), np.int64(0), np.int64(0), 0
    word, before, whole, signs, first_class = BASIS, np.uint64(0), BASIS, np.int64(0), np.int64(0)
    is_inside, last_byte = False, np.int64(0)
    gram, in_gram, latest = np.uint64(0), np.int64(0), np.int64(APART)  # four letters, of 16 bits each; the latest one
    while i <= end and number < MOST_WORDS and letters < MOST_LETTERS:
        letter, size = np.int64(APART), np.int64(1)
        if i < end:
            if data[i] < 0x80:
                letter = np.int64(classes[data[i]])
                sign = np.int64(_SIGN_NUMBERS[data[i]])
                signs |= np.int64(1) << sign
                digits += is_digit(data[i])
            else:
                character, wide = decode(data, i, end)
                size = np.int64(wide)
                letter = np.int64(classes[character]) if character < LETTERS else np.int64(APART)
            if i == begin:
                first_class = letter
        i += size
        if letter == MARK:
            continue
        is_upper = letter >= UPPER
        letter &= UPPER - 1
        is_alone = letter >= ALONE
        if is_inside and (letter == APART or is_alone):
            is_inside = False
            words[number] = word
            out[count], out[count + 1] = number_of(WORD, word), number_of(PAIR, before + word * SPREAD)
            count += 2
            number, before, whole = number + 1, word, with_unit(whole, word)
        if letter != APART or latest != APART:
            gram, in_gram, latest = gram << np.uint64(16) | np.uint64(letter & 0xFFFF), in_gram + 1, letter
            if in_gram >= 3:  # with the sign before the first word
                out[count] = number_of(GRAM, gram)
                count += 1
        if is_alone and number < MOST_WORDS:
            word = with_unit(BASIS, letter)
            words[number] = word
            out[count], out[count + 1] = number_of(WORD, word), number_of(PAIR, before + word * SPREAD)
            count += 2
            number, before, whole = number + 1, word, with_unit(whole, word)
            letters += 1
        elif letter != APART and not is_alone:
            capital_words += is_upper and not is_inside
            word = with_unit(word if is_inside else BASIS, letter)
            is_inside = True
            letters += 1
            capitals += is_upper
    if is_inside and number < MOST_WORDS:  # the text was cut within a word
        words[number] = word
        number += 1
    if end > begin:
        last_byte = np.int64(data[end - 1]) if data[end - 1] < 0x80 and classes[data[end - 1]] == APART else 0
    if number > 0:
        out[count], out[count + 1] = number_of(FIRST, words[0]), number_of(LAST, words[number - 1])
        out[count + 2] = number_of(WHOLE, whole)
        count += 3
    for sign in range(1, len(SIGNS) + 1):
        if signs >> sign & 1:
            out[count] = number_of(SIGN, sign)
            count += 1
    few = min(number, FEW)
    out[count] = number_of(WORDS, step(number))
    out[count + 1] = number_of(LENGTH, step(end - begin))
    out[count + 2] = number_of(CAPITALS, 8 * capitals // max(letters, 1))
    out[count + 3] = number_of(CAPITAL_WORDS, 8 * (4 * capital_words // max(number, 1)) + few)
    out[count + 4] = number_of(DIGITS, step(digits))
    out[count + 5] = number_of(END, last_byte)
    out[count + 6] = number_of(BEGIN, (first_class >= UPPER) + 2 * (first_class == APART))
    return count + 7, number


@part
def add_path_words(data, begin, end, kind, most, words, out, count):
    """Add the words of letters in the path data[begin:end] as features of a kind; put their hashes into `words`.

    A capital letter behind a small one begins a word. Return how many features and how many words there are.
    """
    i, number, size, word, was_small = begin, np.int64(0), np.int64(0), BASIS, False
    while i <= end and number < most:
        byte = data[i] if i < end else _SLASH
        is_letter = is_small_letter(byte) or is_capital(byte)
        if size > 0 and (not is_letter or (was_small and is_capital(byte))):
            words[number] = word
            out[count] = number_of(kind, word)
            number, count, size, word = number + 1, count + 1, np.int64(0), BASIS
        if is_letter:
            word, size = with_unit(word, LOWERED[byte]), size + 1
        was_small = is_small_letter(byte)
        i += 3 if byte == _PERCENT else 1
    return count, number


@part
def add_url(data, host, end, names, file_words, out, count):
    """Add the features of a URL whose host begins at data[host] and whose path ends at `end`; return the numbers.

    `names` are the begin and the end of its file's name, and the begin of the ending. The words of the name are put
    into `file_words`. Returned are the number of features and that of these words.
    """
    i = host
    while i < end and data[i] != _SLASH:
        i += 1
    first, last, dot = max(names[0], i), max(names[1], i), max(names[2], i)
    count, number = add_path_words(data, i, first, FOLDER, MOST_FOLDERS, file_words, out, count)
    folders = np.int64(0)
    for k in range(i, first):
        folders += data[k] == _SLASH
    out[count] = number_of(FOLDERS, min(folders, 8))
    count += 1
    count, number = add_path_words(data, first, dot, FILE_WORD, MOST_FILE, file_words, out, count)
    ending = BASIS
    for k in range(dot, min(last, dot + 6)):
        ending = with_unit(ending, LOWERED[data[k]])
    out[count] = number_of(ENDING, ending)
    count += 1
    gram = np.uint64(_SLASH)  # four bytes
    for k in range(first, min(dot, first + MOST_NAME) + 1):
        byte = LOWERED[data[k]] if k < dot else _SLASH
        gram = (gram << np.uint64(8) | np.uint64(ord("0") if is_digit(byte) else byte)) & np.uint64(0xFFFFFFFF)
        if k >= first + 2:
            out[count] = number_of(FILE_GRAM, gram)
            count += 1
    return count, number


@part
def site_label(data, first, last):
    """Return the begin and the end of the longest label of a host before its last one: the name of a site."""
    begin, i, best, best_end = first, first, first, first
    while i < last:
        if data[i] == _DOT:
            if i - begin > best_end - best:
                best, best_end = begin, i
            begin = i + 1
        i += 1
    return best, best_end


@part
def holds_label(text, begin, end, data, first, last):
    """Return whether the letters and digits of a text's begin hold those of data[first:last], signs left out."""
    if last - first < 3:
        return False
    while first < last and not is_named(data[first]):
        first += 1
    while first < last and not is_named(data[last - 1]):
        last -= 1
    if first == last:
        return False
    for start in range(begin, min(end, begin + MOST_LETTERS)):
        if LOWERED[text[start]] != LOWERED[data[first]]:
            continue
        i, k = start, first
        while i < end and k < last:
            if not is_named(data[k]):
                k += 1
            elif LOWERED[text[i]] == LOWERED[data[k]]:
                i, k = i + 1, k + 1
            elif not is_named(text[i]):
                i += 1
            else:
                break
        if k == last:
            return True
    return False


@part
def add_facts(facts, few, out, count):
    """Add the features of an image's row of `facts`; `few` is the text's number of words, at most FEW."""
    places, width, height, shown = facts[PLACES_OF], facts[WIDTH_OF], facts[HEIGHT_OF], facts[SHOWN_OF]
    for bit in range(PLACE_BITS):
        if places >> bit & 1:
            out[count] = number_of(PLACE, bit)
            count += 1
    side = np.int64(-1) if min(width, height) < 0 else step(min(width, height))
    out[count], out[count + 1] = number_of(PLACES, places), number_of(PLACES_WORDS, 8 * places + few)
    out[count + 2] = number_of(PLACES_SIDE, 64 * places + side + 1)
    out[count + 3] = number_of(WIDTH, step(width) + 1 if width >= 0 else 0)
    out[count + 4] = number_of(HEIGHT, step(height) + 1 if height >= 0 else 0)
    out[count + 5] = number_of(SHOWN, step(shown) + 1 if shown >= 0 else 0)
    count += 6
    if width >= 0 and height > 0:
        out[count], out[count + 1] = (
            number_of(SIZE, width * 65536 + height),
            number_of(RATIO, step(16 * width // height)),
        )
        count += 2
    return count


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
    """Put the features of one text of an image into `out`; return how many there are."""
    count, number = add_text(text, begin, end, classes, words, out, np.int64(0))
    few = min(number, FEW)
    count, in_name = add_url(url, host, path_end, names, file_words, out, count)
    common = np.int64(0)
    for i in range(number):
        is_common = False
        for k in range(in_name):
            is_common |= words[i] == file_words[k]
        common += is_common
    out[count] = number_of(OVERLAP, 8 * (4 * common // max(number, 1)) + few)
    out[count + 1] = number_of(KIND, kind)
    count = add_facts(facts, few, out, count + 2)
    site, same_host = np.int64(0), np.int64(0)
    if page_end > page_begin:
        first, last = host_span(page, page_begin, page_end)
        label, label_end = site_label(page, first, last)
        site = 1 + holds_label(text, begin, end, page, label, label_end)
        same_host = 1
        for i in range(last - first):
            if host + i >= path_end or LOWERED[url[host + i]] != LOWERED[page[first + i]]:
                same_host = 2
    out[count], out[count + 1] = number_of(SITE, 8 * site + few), number_of(HOST, same_host)
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
    """Set scores[text] to the sums of the weights of a text's features, one for each column of `weights`.

    counts[text] is set to the number of features, and the row of `numbers`, int32[row, MOST], to them: that of the text
    if there is one for each, else the only row.

    texts: bytes; offsets: int[text + 1]; kinds: int64[text], numbers of kinds of texts; images: int64[text], the row of
    each text's image. url, paths, names: of the images, as `find_paths` and `find_names` have them. The URL of a text's
    page is in `stated`; if it is empty there, in `pages`, by image. facts: int64[image, 4]; classes: int32[LETTERS];
    weights: int8[2**BITS, output]; words, file_words: scratch memory.
    """
    for text in range(len(scores)):
        row, image = text if len(numbers) == len(scores) else 0, images[text]
        page, page_begin, page_end = stated, stated_offsets[text], stated_offsets[text + 1]
        if page_begin == page_end:
            page, page_begin, page_end = pages, page_offsets[image], page_offsets[image + 1]
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
            facts[image],
            classes,
            words,
            file_words,
            numbers[row],
        )
        counts[text], junk, headline = count, np.int64(0), np.int64(0)
        for k in range(count):
            junk += weights[numbers[row, k], 0]
            headline += weights[numbers[row, k], 1]
        scores[text, 0], scores[text, 1] = junk, headline

"""Classify 64 bytes of text or JSON at a time into bit masks, copy bytes, and find a few bytes among many.

As in `machine`, nothing checks that the bytes exist.
"""

from llvmlite import ir
from numba.core import cgutils

from runtime.kernels import lean, machine
from runtime.kernels.machine import BYTE, WORD, at, every, instruction, load_word, lowest

WINDOW = 64  # the bytes that one step classifies
SLACK = WINDOW + 2  # the bytes after the last byte that a kernel may read, or may write in an output
# Normalising never changes characters whose first byte in UTF-8 is in these ranges, whatever is beside them.
PLAIN_LEADS = ((0xC3, 0xC3), (0xD0, 0xD1), (0xE4, 0xE9), (0xEB, 0xEC))

_BYTES = ir.VectorType(BYTE, WINDOW)


@instruction(results=3)
def ascii_masks(builder, data, i):
    """Return three masks as int64: of ASCII letters and digits, of ASCII marks, and of bytes that are not ASCII.

    Bit k is for data[i + k]. Marks are all visible characters that are neither letters nor digits.
    """
    text = _window(builder, data, i)
    word = builder.or_(
        _within(builder, builder.or_(text, _splat(32)), ord("a"), ord("z")),
        _within(builder, text, ord("0"), ord("9")),
    )
    mark = builder.and_(_within(builder, text, 33, 126), builder.not_(word))
    return [builder.bitcast(mask, WORD) for mask in (word, mark, _within(builder, text, 128, 255))]


@instruction(results=1)
def mask_of_leads(builder, data, i):
    """Return an int64 whose bit k is set if data[i + k] begins a character that normalising may change.

    The bit is not set for bytes inside characters, and for characters that normalising never changes: ASCII, letters
    from U+00C0 and U+0400 on, Han from U+4000 on, and Hangul syllables.
    """
    text = _window(builder, data, i)
    plain = _within(builder, text, 0x00, 0xBF)
    for low, high in PLAIN_LEADS:
        plain = builder.or_(plain, _within(builder, text, low, high))
    return builder.bitcast(builder.not_(plain), WORD)


@instruction(results=1)
def triples(builder, data, i):
    """Return how many characters in a row, from data[i] on, have three bytes of UTF-8 each; at most 21."""
    text = _window(builder, data, i)
    leads = builder.bitcast(_within(builder, text, 0xE0, 0xEF), WORD)
    others = builder.bitcast(_within(builder, text, 0x80, 0xBF), WORD)
    first = ir.Constant(WORD, sum(1 << bit for bit in range(0, 63, 3)))
    wrong = builder.or_(builder.xor(leads, first), builder.xor(others, builder.not_(first)))
    wrong = builder.or_(wrong, ir.Constant(WORD, 1 << 63))
    return builder.udiv(builder.cttz(wrong, cgutils.false_bit), ir.Constant(WORD, 3))


@instruction(results=2)
def meta_masks(builder, data, i):
    """Return two int64 masks: of the bytes that end a word under the `meta` rules, and of the marks among these bytes.

    Bit k is for data[i + k]. White space and marks end a word. Marks are ,.:;?! and the backtick.
    """
    text = _window(builder, data, i)
    wrapped = _one_of(builder, text, b",.:;?!`")
    ends = builder.or_(wrapped, _one_of(builder, text, b" \t\n\r"))
    return [builder.bitcast(mask, WORD) for mask in (ends, wrapped)]


@instruction(results=1)
def separator_mask(builder, data, i):
    """Return an int64 whose bit k is set if data[i + k] separates words for fastText: 0, 9 to 13, 32."""
    text = _window(builder, data, i)
    return builder.bitcast(builder.or_(_within(builder, text, 9, 13), _one_of(builder, text, b"\0 ")), WORD)


@instruction(results=1)
def string_stops(builder, data, i):
    """Return an int64 whose bit k is set if data[i + k] is a quote, a control byte, or a backslash not before a slash.

    A control byte is below 32. WAT files write every slash as a backslash and a slash; only strings that are needed are
    decoded, so a string need not stop there.
    """
    text, after = (_window(builder, data, i, ahead) for ahead in (0, 1))
    backslash = builder.and_(_one_of(builder, text, b"\\"), builder.not_(_one_of(builder, after, b"/")))
    stops = builder.or_(builder.or_(_one_of(builder, text, b'"'), backslash), _within(builder, text, 0, 0x1F))
    return builder.bitcast(stops, WORD)


@instruction(results=1)
def backslashes(builder, data, i):
    """Return an int64 whose bit k is set if data[i + k] is a backslash."""
    return builder.bitcast(_one_of(builder, _window(builder, data, i), b"\\"), WORD)


@instruction(results=1)
def odd_space(builder, data, i):
    """Return an int64 whose bit k is set if a control character, or non-ASCII white space, begins at data[i + k].

    The data must be valid UTF-8. The bit is also set for some other characters from U+2000 to U+202F, which are rare in
    texts.
    """
    first, second, third = (_window(builder, data, i, ahead) for ahead in (0, 1, 2))

    def begins(characters):
        matches = _one_of(builder, first, characters[:1])
        for text, character in zip((second, third), characters[1:], strict=False):
            matches = builder.and_(matches, _one_of(builder, text, [character]))
        return matches

    punctuation = builder.and_(begins(b"\xe2\x80"), builder.not_(_within(builder, third, 0x8B, 0xA7)))
    odd = builder.or_(_within(builder, first, 0, 0x1F), punctuation)
    for characters in (b"\xc2\x85", b"\xc2\xa0", b"\xe1\x9a", b"\xe2\x81\x9f", b"\xe3\x80\x80"):
        odd = builder.or_(odd, begins(characters))
    return builder.bitcast(odd, WORD)


@instruction(results=1)
def references(builder, data, i):
    """Return an int64 whose bit k is set if data[i + k] is a & before an ASCII letter or #."""
    text, after = (_window(builder, data, i, ahead) for ahead in (0, 1))
    letter = _within(builder, builder.or_(after, _splat(32)), ord("a"), ord("z"))
    begins = builder.or_(letter, _one_of(builder, after, b"#"))
    return builder.bitcast(builder.and_(_one_of(builder, text, b"&"), begins), WORD)


@instruction(results=0)
def copy_window(builder, data, i, out, k):
    """out[k:k + 64] = data[i:i + 64]."""
    builder.store(_window(builder, data, i), at(builder, out, k, _BYTES), align=1)


@instruction(results=1)
def mask_of_pair(builder, data, i, word):
    """Return an int64 whose bit k is set if data[i + k:i + k + 2] equals the two lowest bytes of `word`."""
    return _two(builder, data, i, word, 0)


@instruction(results=1)
def mask_of_letters(builder, data, i, word):
    """Return the mask of `mask_of_pair` for two lower-case letters in `word`; the case of the data is ignored."""
    return _two(builder, data, i, word, 0x20)


@instruction(results=1)
def license_mask(builder, data, i):
    """Return an int64 whose bit k is set if `lice` or `licd`, or one of a few similar words, begins at data[i + k].

    Letters match in either case. Only the first, third and fourth letters are compared, the last two without their
    lowest bit, which is twice as fast as comparing all four letters.
    """
    differing = _splat(0)
    for ahead, letter, ignored in ((0, "l", 0x20), (2, "c", 0x21), (3, "e", 0x21)):
        text = builder.or_(_window(builder, data, i, ahead), _splat(ignored))
        differing = builder.or_(differing, builder.xor(text, _splat(ord(letter) | ignored)))
    return builder.bitcast(builder.icmp_unsigned("==", differing, _splat(0)), WORD)


@lean
def find_bytes(data, begin, end, word, size):
    """Return the index in `data` of the first occurrence of some bytes in data[begin:end], or -1.

    The bytes are the `size` lowest bytes, 3 to 8, of `word`. SLACK bytes must follow data[:end].
    """
    for i in range(begin, end, WINDOW):
        hits = mask_of_pair(data, i, word)
        while hits != 0:
            start = i + machine.trailing_zeros(hits)
            if start + size > end:
                return -1
            if (load_word(data, start) ^ word) & lowest(8 * size) == 0:
                return start
            hits = machine.without_lowest(hits)
    return -1


def _window(builder, data, i, ahead=0):
    return builder.load(at(builder, data, builder.add(i, ir.Constant(WORD, ahead)), _BYTES), align=1)


def _splat(value):
    return ir.Constant(_BYTES, [value] * WINDOW)


def _within(builder, text, low, high):
    return builder.icmp_unsigned("<=", builder.sub(text, _splat(low)), _splat(high - low))


def _one_of(builder, text, characters):
    matches = builder.icmp_unsigned("==", text, _splat(characters[0]))
    for character in characters[1:]:
        matches = builder.or_(matches, builder.icmp_unsigned("==", text, _splat(character)))
    return matches


def _two(builder, data, i, word, added):
    """Return the mask of `mask_of_pair`; in each byte of the data, the bits `added` are set before the comparison."""
    matches = []
    for ahead in (0, 1):
        text = builder.or_(_window(builder, data, i, ahead), _splat(added))
        byte = builder.trunc(builder.lshr(word, ir.Constant(WORD, 8 * ahead)), BYTE)
        matches.append(builder.icmp_unsigned("==", text, every(builder, _BYTES, byte)))
    return builder.bitcast(builder.and_(*matches), WORD)

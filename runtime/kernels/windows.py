"""Classify 64 bytes of JSON at a time, one bit a byte, and copy them. As in `machine`, nothing checks bounds."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from runtime.kernels.masks import pointer

WINDOW = 64  # bytes looked at in one step
SLACK = WINDOW + 2  # bytes behind the last one that may be read, or in an output written, too

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_BYTES = ir.VectorType(_BYTE, WINDOW)


@intrinsic
def byte_at(typingctx, data, i):
    """Return data[i] as int64, without the test whether `i` is negative."""

    def generate(context, builder, signature, args):
        return builder.zext(builder.load(pointer(context, builder, signature.args[0], *args, _BYTE)), _WORD)

    return types.int64(data, types.int64), generate


@intrinsic
def copy_window(typingctx, data, i, out, k):
    """out[k:k + 64] = data[i:i + 64]."""

    def generate(context, builder, signature, args):
        text = _load(context, builder, signature.args[0], *args[:2])
        builder.store(text, pointer(context, builder, signature.args[2], *args[2:], _BYTES), align=1)
        return context.get_dummy_value()

    return types.none(data, types.int64, out, types.int64), generate


@intrinsic
def string_stops(typingctx, data, i):
    """Return an int64 of which bit k tells whether data[i + k] is a quote, a control, or a backslash before no slash.

    WAT files write every slash as a backslash and a slash, which needs no look unless the string is wanted.
    """

    def generate(context, builder, signature, args):
        text, after = (_load(context, builder, signature.args[0], *args, ahead) for ahead in (0, 1))
        backslash = builder.and_(_is(builder, text, "\\"), builder.not_(_is(builder, after, "/")))
        stops = builder.or_(builder.or_(_is(builder, text, '"'), backslash), _below(builder, text, 0x20))
        return builder.bitcast(stops, _WORD)

    return types.int64(data, types.int64), generate


@intrinsic
def backslashes(typingctx, data, i):
    """Return an int64 of which bit k tells whether data[i + k] is a backslash."""

    def generate(context, builder, signature, args):
        text = _load(context, builder, signature.args[0], *args)
        return builder.bitcast(_is(builder, text, "\\"), _WORD)

    return types.int64(data, types.int64), generate


@intrinsic
def odd_space(typingctx, data, i):
    """Return an int64 of which bit k tells whether a control, or white space that is no ASCII, begins at data[i + k].

    In valid UTF-8, that is. Some more characters than these are told, of U+2000 to U+202F none that texts often hold.
    """

    def generate(context, builder, signature, args):
        first, second, third = (_load(context, builder, signature.args[0], *args, ahead) for ahead in (0, 1, 2))

        def begins(*characters):
            found = _is(builder, first, characters[0])
            for byte, character in zip((second, third), characters[1:], strict=False):
                found = builder.and_(found, _is(builder, byte, character))
            return found

        punctuation = builder.and_(begins("\xe2", "\x80"), builder.not_(_within(builder, third, 0x8B, 0xA7)))
        found = builder.or_(_below(builder, first, 0x20), punctuation)
        for characters in ("\xc2\x85", "\xc2\xa0", "\xe1\x9a", "\xe2\x81\x9f", "\xe3\x80\x80"):
            found = builder.or_(found, begins(*characters))
        return builder.bitcast(found, _WORD)

    return types.int64(data, types.int64), generate


def _load(context, builder, array_type, array, i, ahead=0):
    place = builder.add(i, ir.Constant(_WORD, ahead))
    return builder.load(pointer(context, builder, array_type, array, place, _BYTES), align=1)


def _splat(value):
    return ir.Constant(_BYTES, [value] * WINDOW)


def _is(builder, text, character):
    return builder.icmp_unsigned("==", text, _splat(ord(character)))


def _below(builder, text, limit):
    return builder.icmp_unsigned("<", text, _splat(limit))


def _within(builder, text, low, high):
    return builder.icmp_unsigned("<=", builder.sub(text, _splat(low)), _splat(high - low))

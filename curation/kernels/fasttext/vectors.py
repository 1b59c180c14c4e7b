"""Add and multiply rows of sixteen float32 in the processor's vectors, in one fixed order.

Bounds are not checked, not even under NUMBA_BOUNDSCHECK: the caller makes sure that all rows exist.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WIDTH = 16

_BYTE, _NUMBER, _WORD = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_ID = ir.IntType(16)
_IDS, _SLOT, _ROW = ir.VectorType(_ID, 4), ir.VectorType(_WORD, 4), ir.VectorType(ir.FloatType(), WIDTH)
_FIRST = ir.Constant(_WORD, 0)


def _address(context, builder, array_type, array, i, element):
    """Return the address of the i-th element of an array's memory, counted in elements of this type."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(builder.bitcast(data, element.as_pointer()), [i], source_etype=element)


@intrinsic
def add_rows(typingctx, rows, ids, first, last, total):
    """Add rows[id] to total[0:16] for each of ids[first:last], of uint16, one after the other."""

    def generate(context, builder, signature, args):
        rows_type, ids_type, _, _, total_type = signature.args
        rows, ids, first, last, total = args
        address = _address(context, builder, total_type, total, _FIRST, _ROW)
        sum_ = cgutils.alloca_once_value(builder, builder.load(address, align=4))  # becomes a register
        with cgutils.for_range_slice(builder, first, last, ir.Constant(_WORD, 1)) as (i, _):
            id_ = builder.load(_address(context, builder, ids_type, ids, i, _ID), align=2)
            row = _address(context, builder, rows_type, rows, builder.zext(id_, _WORD), _ROW)
            builder.store(builder.fadd(builder.load(sum_), builder.load(row, align=4)), sum_)
        builder.store(builder.load(sum_), address, align=4)
        return context.get_dummy_value()

    return types.none(rows, ids, types.int64, types.int64, total), generate


@intrinsic
def dot(typingctx, rows, i, vector):
    """Return the product of rows[i] and a vector, both of 16 float32; the terms are added one after the other.

    Where `rows` are products already, of float32, it is the one at i - vector.
    """

    def look_up(context, builder, signature, args):
        rows_type, _, _ = signature.args
        rows, i, first = args
        place = builder.sub(i, first)
        return builder.load(_address(context, builder, rows_type, rows, place, ir.FloatType()), align=4)

    def generate(context, builder, signature, args):
        rows_type, _, vector_type = signature.args
        row = builder.load(_address(context, builder, rows_type, *args[:2], _ROW), align=4)
        vector = builder.load(_address(context, builder, vector_type, args[2], _FIRST, _ROW), align=4)
        terms = builder.fmul(row, vector)
        total = ir.Constant(ir.FloatType(), 0.0)
        for k in range(WIDTH):
            total = builder.fadd(total, builder.extract_element(terms, ir.Constant(_NUMBER, k)))
        return total

    if rows.ndim == 1:
        return types.float32(rows, types.int64, types.int64), look_up
    return types.float32(rows, types.int64, vector), generate


@intrinsic
def copy_four(typingctx, source, i, target, k):
    """target[k:k + 4] = source[i:i + 4], both of uint16."""

    def generate(context, builder, signature, args):
        source_type, _, target_type, _ = signature.args
        begin = builder.bitcast(_address(context, builder, source_type, *args[:2], _ID), _IDS.as_pointer())
        end = builder.bitcast(_address(context, builder, target_type, *args[2:], _ID), _IDS.as_pointer())
        builder.store(builder.load(begin, align=2, typ=_IDS), end, align=2)
        return context.get_dummy_value()

    return types.none(source, types.int64, target, types.int64), generate


@intrinsic
def prefetch_row(typingctx, rows, i):
    """Ask for the memory of rows[i], 16 float32, and go on without it."""
    return _prefetch(rows, _ROW)


@intrinsic
def prefetch_slot(typingctx, slots, i):
    """Ask for the memory of slots[i], four int64, and go on without it."""
    return _prefetch(slots, _SLOT)


def _prefetch(array, element):
    def generate(context, builder, signature, args):
        address = _address(context, builder, signature.args[0], *args, element)
        address = builder.bitcast(address, _BYTE.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [address.type, _NUMBER, _NUMBER, _NUMBER])
        function = builder.module.declare_intrinsic("llvm.prefetch", [address.type], kind)
        to_read, nearest, data = (ir.Constant(_NUMBER, value) for value in (0, 3, 1))
        builder.call(function, [address, to_read, nearest, data])
        return context.get_dummy_value()

    return types.none(array, types.int64), generate

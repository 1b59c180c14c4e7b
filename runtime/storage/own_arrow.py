"""Open Arrow files of our own, mapped into memory.

Before rows are handed out, all bytes are compared with their checksum, and all offsets are validated: an offset outside
of the mapping would end the process.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from runtime.errors import InputError
from runtime.storage.own_files import OwnFile, compared

_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError)  # what Arrow may raise


def open_arrow(file: OwnFile) -> pa.RecordBatchFileReader:
    """Return the record batches of a local file; a damaged file is refused, once it is looked at in a process."""
    try:
        return _mapped(compared(file, _validate))[1]
    except InputError:
        raise
    except _DAMAGE as error:
        raise file.damaged(error) from None


def _mapped(path: Path) -> tuple[pa.Buffer, pa.RecordBatchFileReader]:
    """Return the bytes of a file, and the reader of its batches, whose columns are parts of these bytes."""
    with pa.memory_map(str(path)) as file:
        content = file.read_buffer()
    return content, pa.ipc.open_file(pa.BufferReader(content))


def _validate(path: Path) -> None:
    """Raise an error if a column is not in the file, an offset is not in its column, or a text is not UTF-8."""
    content, reader = _mapped(path)
    end = content.address + content.size
    for number in range(reader.num_record_batches):
        batch = reader.get_batch(number)
        for part in (part for column in batch.columns for part in column.buffers() if part is not None and part.size):
            if part.address < content.address or part.address + part.size > end:
                raise ValueError("a column is outside of it")
        batch.validate(full=True)

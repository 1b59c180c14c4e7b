"""The gate as a run is asked for it: tables of images, found and opened once, and the expression that must hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curation.gates.tables import ImageTable
from runtime.errors import InputError

STATUS, SUCCESS = "status", "success"  # img2dataset's column, and its word for an image that was downloaded
NOT_TRIED, NO_STATUS = "not_tried", "no_status"  # a matched image that is in no result, and one whose result is null


@dataclass(frozen=True)
class GatePlan:
    """The results of a download, other tables of images, and a condition over the columns of all of them."""

    results: ImageTable | None = None
    tables: tuple[ImageTable, ...] = ()
    keep: str | None = None

    @classmethod
    def find(cls, status: Sequence[str], images: Sequence[Sequence[str]], keep: str | None) -> GatePlan:
        """Return the plan for img2dataset's folders, one list of paths for each other table, and an expression."""
        if images and keep is None:
            raise InputError(f"--images {images[0][0]} is a table of images, and no --keep says which of them stay")
        if keep is not None and not images and not status:
            raise InputError(f"--keep {keep!r} is over columns of tables of images; name them by --images")
        results = _results(status) if status else None
        return cls(results, tuple(ImageTable.find(paths) for paths in images), keep)

    def __bool__(self) -> bool:
        return self.results is not None or bool(self.tables)


def require_success(statuses: Mapping[str, int]) -> None:
    """Refuse a download without any matched image, given the number of matched images by status."""
    if not statuses.get(SUCCESS):
        counts = ", ".join(f"{images:,} {status}" for status, images in statuses.items()) or "there is none"
        raise InputError(
            f"no matched image was downloaded ({counts}); give the results of downloading this run's matched/, with "
            "`uid` among --save_additional_columns where the input brought its own uids"
        )


def _results(folders: Sequence[str]) -> ImageTable:
    table = ImageTable.find(folders, "results of img2dataset, with 00000.parquet beside 00000.tar")
    if STATUS not in table.columns.names:
        raise InputError(
            f"{table.files[0][0]} has the columns {table.columns.names}; results of img2dataset have status and uid "
            "or url"
        )
    return table

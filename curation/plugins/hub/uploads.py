"""Flags that upload a finished folder to a dataset of the Hugging Face Hub, and the upload itself.

Files that the dataset already has are not sent again, so the same call resumes an interrupted upload. A dataset is
public only if --public asks for it. No file that others wrote is replaced or deleted.
"""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Mapping
from glob import escape
from hashlib import sha1, sha256
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.arguments import Parser
from runtime.errors import InputError
from runtime.packages import require_packages
from runtime.storage.checksums import content_digest
from runtime.storage.paths import absolute, files_below, is_url
from runtime.storage.scratch import scratch
from runtime.terminal import print_result
from runtime.wording import counted

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
FORM = "huggingface"  # the format of exports that the Hub shows
CARD = "README.md"
RECORD = ".clip-curation-upload.json"  # This file of a dataset has the digests of all files of the last upload.
_BESIDE = {RECORD, ".gitattributes"}  # Uploads do not compare these; the Hub writes .gitattributes.


def add(parser: Parser) -> None:
    """Add the flags of an upload to a command."""
    group = parser.add_argument_group("the Hugging Face Hub (extra `hf`)")
    upload = (
        "upload the finished folder to this dataset, which is created if it does not exist. With --overwrite, only "
        "files that an earlier upload wrote are replaced"
    )
    group.add_argument("--upload", metavar="OWNER/NAME", help=upload)
    private = "upload to a dataset that only you can see; this is the default, and a public dataset is refused"
    group.add_argument("--private", dest="public", action="store_false", default=False, help=private)
    group.add_argument("--public", action="store_true", help="upload to a dataset that everyone can see")
    if parser.get_default("overwrite") is None:
        group.add_argument("--overwrite", action="store_true", help="replace the files of an earlier --upload")


def require(args: Namespace) -> None:
    """Raise InputError if `args` ask for an upload that cannot begin; commands call this before they make its files."""
    if args.upload is None:
        return
    if getattr(args, "format", FORM) != FORM:
        raise InputError(f"--upload sends the folder that --format {FORM} writes; --format is {args.format}")
    if not _NAME.fullmatch(args.upload):
        raise InputError(f"--upload is {args.upload}; pass OWNER/NAME of a dataset")
    if is_url(absolute(args.output)):
        raise InputError(f"--upload sends a local folder, but --output is {args.output}; pass a local folder")
    require_packages(["huggingface_hub"])
    from huggingface_hub import get_token  # This import is here because the package may be missing.

    if get_token() is None:
        raise InputError("an upload needs a token that may write; log in by `hf auth login`, or set HF_TOKEN")


def upload(args: Namespace, beside: Mapping[str, str] | None = None, names: list[str] | None = None) -> None:
    """Upload the folder --output to the dataset --upload and print a summary; do nothing without --upload.

    `names` are the files to upload; None: all. `beside` maps names of further files to their texts. InputError if a
    file of the folder has changed since it was written, or if the dataset has files that may not be replaced.
    """
    if args.upload is None:
        return
    from huggingface_hub.utils import disable_progress_bars

    from curation.plugins.hub.answers import answer, api
    from runtime.folders.verify import verify  # This import is here because it takes long.

    folder = Path(args.output)
    address = f"hf://datasets/{args.upload}"
    verify(folder)
    if not sys.stderr.isatty():
        disable_progress_bars()
    with scratch() as staged:
        for name in names or sorted(files_below(folder)):
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).symlink_to((folder / name).absolute())
        for name, text in (beside or {}).items():
            (staged / name).write_text(text, encoding="utf-8")
        sending = Sending(api(), args.upload, staged, args.public, args.overwrite)
        commit = answer(address, sending.send)
    seen = "public" if args.public else "private"
    stay = f"; {counted(len(sending.stay), 'other file')} of the dataset stayed" if sending.stay else ""
    print_result(f"{counted(len(sending.digests), 'file')} in {address}@{commit} ({seen}){stay}")


class Sending:
    """Sends the files of a folder to a dataset.

    It also sends RECORD, which has the digests of all files of the upload, so that a later upload may replace them.
    `send` sets `stay`: the paths of other files in the dataset, which no upload of this program wrote.
    """

    def __init__(self, api: HfApi, name: str, folder: Path, is_public: bool, overwrite: bool):
        self.api = api
        self.name = name
        self.folder = folder
        self.address = f"hf://datasets/{name}"
        self.is_public = is_public
        self.overwrite = overwrite
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        self.digests = {path.relative_to(folder).as_posix(): _digests(path) for path in files}
        record = json.dumps({"files": self.digests}, indent=1)
        (folder / RECORD).write_text(record, encoding="utf-8")
        self.stay: list[str] = []

    def send(self) -> str:
        """Send the files, check that the dataset has them, and return the hash of their commit."""
        # This import is here because the package may be missing.
        from curation.plugins.hub.answers import require_commit

        parent = self._claimed()
        gone = self._replaced(parent)
        try:
            commit = self.api.upload_folder(
                repo_id=self.name,
                folder_path=self.folder,
                repo_type="dataset",
                parent_commit=parent,
                delete_patterns=[escape(path) for path in gone] or None,
                commit_message="Upload by clip-curation",
            )
        except RuntimeError as error:  # The upload of one file failed; the cause says why.
            raise error.__cause__ or error from None
        except ValueError as error:
            if CARD in str(error):  # The Hub refuses the metadata of the card.
                raise InputError(f"{self.address}: {' '.join(str(error).split())}") from None
            raise
        there = self._there(require_commit(self.address, commit.oid))
        for path, digests in self.digests.items():
            if path not in there or not _is_same(there[path], digests):
                raise InputError(
                    f"{self.address} has a {path} that differs from the one that was sent; upload it again"
                )
        return commit.oid

    def _claimed(self) -> str | None:
        """Return the dataset's commit, or None; create a missing dataset. InputError if it is public and should not be.

        With --public, a private dataset is also refused.
        """
        # This import is here because the package may be missing.
        from curation.plugins.hub.answers import malformed, require_commit

        if not self.api.repo_exists(self.name, repo_type="dataset"):
            self.api.create_repo(self.name, repo_type="dataset", private=not self.is_public, exist_ok=True)
        about = self.api.repo_info(self.name, repo_type="dataset")
        if not isinstance(about.private, bool):
            raise malformed(self.address, "it does not say whether the dataset is private")
        if about.private == self.is_public:
            now, wanted = ("private", "--private") if about.private else ("public", "--public")
            raise InputError(f"{self.address} is {now}; pass {wanted}, or another dataset (--upload)")
        return about.sha if about.sha is None else require_commit(self.address, about.sha)

    def _replaced(self, parent: str | None) -> list[str]:
        """Return the paths to delete: files of an earlier upload that this one lacks. Set `stay`.

        InputError if the dataset has any other file and --overwrite is missing, or if a file to send would replace one
        that no upload of this program wrote.
        """
        there = self._there(parent)
        others = [path for path, file in there.items() if not _is_same(file, self.digests.get(path))]
        if others and not self.overwrite:
            fault = f"{self.address} holds {counted(len(others), 'other file')}, such as {others[0]}"
            raise InputError(
                f"{fault}; pass another dataset, or replace the files of an earlier upload with --overwrite"
            )
        recorded = self._recorded(parent) if others else {}
        self.stay = [path for path in others if not _is_same(there[path], recorded.get(path))]
        if foreign := [path for path in self.stay if path in self.digests]:
            fault = f"{self.address} has a different {foreign[0]}, which no upload of this program wrote"
            raise InputError(f"{fault}; pass another dataset, or delete the file there")
        return [path for path in others if path not in self.digests and path not in self.stay]

    def _recorded(self, parent: str | None) -> dict[str, list[str]]:
        """Return the digests of the files of the last upload, by path; {} if RECORD is missing or damaged."""
        from curation.plugins.hub.hub_files import HubFiles  # This import is here because the package may be missing.

        try:
            content = HubFiles().cat_file(f"{self.address}@{parent}/{RECORD}")
        except FileNotFoundError:
            return {}
        try:
            return {path: [*map(str, digests)] for path, digests in json.loads(content)["files"].items()}
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
            return {}

    def _there(self, commit: str | None) -> dict[str, RepoFile]:
        from curation.plugins.hub.answers import tree  # This import is here because the package may be missing.

        listed = [] if commit is None else tree("datasets", self.name, commit)
        return {file.path: file for file in listed if hasattr(file, "blob_id") and file.path not in _BESIDE}


def _digests(path: Path) -> list[str]:
    """Return a file's SHA-256, by which the Hub knows a file in LFS, and its Git hash, by which it knows any other."""
    return [content_digest(path, sha256()), content_digest(path, sha1(b"blob %d\0" % path.stat().st_size))]


def _is_same(there: RepoFile, digests: list[str] | None) -> bool:
    """Return whether the digest of a file of the dataset is one of `digests`."""
    return digests is not None and (there.lfs.sha256 if there.lfs else there.blob_id) in digests

"""Flags that upload a finished folder to a dataset of the Hugging Face Hub, and the upload itself.

Files that are there already are not sent again, so an interrupted upload goes on. Nothing becomes public unasked.
"""

from __future__ import annotations

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
from runtime.storage.own_files import content_digest
from runtime.storage.paths import absolute, files_below, is_url, scratch
from runtime.terminal import print_result
from runtime.wording import counted

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
FORM = "huggingface"  # the format of exports that the Hub shows
_OF_HUB = {".gitattributes"}  # files that the Hub itself makes


def add(parser: Parser) -> None:
    """Add the flags of an upload to a command."""
    group = parser.add_argument_group("the Hugging Face Hub (extra `hf`)")
    upload = "then upload it to this dataset, which is made if need be; other files there need --overwrite"
    group.add_argument("--upload", metavar="OWNER/NAME", help=upload)
    private = "a dataset that others do not see: the default, and a public one is refused"
    group.add_argument("--private", dest="public", action="store_false", default=False, help=private)
    group.add_argument("--public", action="store_true", help="a dataset that all see")
    if parser.get_default("overwrite") is None:
        group.add_argument("--overwrite", action="store_true", help="replace other files of --upload")


def require(args: Namespace) -> None:
    """Raise InputError if an upload is asked for that cannot begin: before anything is made for it."""
    if args.upload is None:
        return
    if getattr(args, "format", FORM) != FORM:
        raise InputError(f"--upload sends a folder for the Hub, which --format {FORM} writes; {args.format} is another")
    if not _NAME.fullmatch(args.upload):
        raise InputError(f"--upload is {args.upload}; expected OWNER/NAME of a dataset")
    if is_url(absolute(args.output)):
        raise InputError(f"--upload sends a local folder, and --output is {args.output}; give a local one")
    require_packages(["huggingface_hub"])
    from huggingface_hub import get_token  # here, as the package may be missing

    if get_token() is None:
        raise InputError("an upload needs a token that may write; log in by `hf auth login`, or set HF_TOKEN")


def upload(args: Namespace, beside: Mapping[str, str] | None = None, names: list[str] | None = None) -> None:
    """Upload the folder --output, or the files `names` of it, to the dataset --upload, if given, and say so.

    `beside` has more files, by name. InputError if a file is not as it was written, or the dataset holds others.
    """
    if args.upload is None:
        return
    from huggingface_hub import HfApi  # here, as in `require`
    from huggingface_hub.utils import disable_progress_bars

    from curation.leaves.hub.hub_files import answer
    from curation.run.verify import verify  # here, as it takes long to import

    folder, address = Path(args.output), f"hf://datasets/{args.upload}"
    verify(folder)
    if not sys.stderr.isatty():
        disable_progress_bars()
    with scratch() as staged:
        for name in names or sorted(files_below(folder)):
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).symlink_to((folder / name).absolute())
        for name, text in (beside or {}).items():
            (staged / name).write_text(text, encoding="utf-8")
        sending = Sending(HfApi(), args.upload, staged, args.public, args.overwrite)
        commit = answer(address, sending)
    seen = "public" if args.public else "private"
    print_result(f"{counted(len(sending.files), 'file')} in {address}@{commit} ({seen})")


class Sending:
    """A call sends the files of a folder to a dataset, and returns the commit that has them."""

    def __init__(self, api: HfApi, name: str, folder: Path, is_public: bool, overwrite: bool):
        self.api, self.name, self.folder = api, name, folder
        self.is_public, self.overwrite = is_public, overwrite
        self.files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}

    def __call__(self) -> str:
        parent = self._claimed()
        others = [path for path, there in self._there(parent).items() if not self._is_same(path, there)]
        if others and not self.overwrite:
            fault = f"hf://datasets/{self.name} holds {counted(len(others), 'other file')}, such as {others[0]}"
            raise InputError(f"{fault}; give another dataset, or replace what it holds by --overwrite")
        gone = [escape(path) for path in others if path not in self.files]
        try:
            commit = self.api.upload_folder(
                repo_id=self.name,
                folder_path=self.folder,
                repo_type="dataset",
                parent_commit=parent,
                delete_patterns=gone or None,
                commit_message="Upload by clip-curation",
            )
        except RuntimeError as error:  # of a file
            raise error.__cause__ or error from None
        except ValueError as error:  # of the card, or of what the Hub answered
            raise InputError(f"hf://datasets/{self.name}: {' '.join(str(error).split())}") from None
        there = self._there(commit.oid)
        for path in self.files:
            if path not in there or not self._is_same(path, there[path]):
                raise InputError(f"hf://datasets/{self.name} holds another {path} than was sent; upload it again")
        return commit.oid

    def _claimed(self) -> str | None:
        """Return the commit of the dataset, which is made if there is none; InputError if others may see it unasked."""
        if not self.api.repo_exists(self.name, repo_type="dataset"):
            self.api.create_repo(self.name, repo_type="dataset", private=not self.is_public, exist_ok=True)
        about = self.api.repo_info(self.name, repo_type="dataset")
        if bool(about.private) == self.is_public:
            now, wanted = ("private", "--private") if about.private else ("public", "--public")
            raise InputError(f"hf://datasets/{self.name} is {now}; give {wanted}, or another dataset (--upload)")
        return about.sha

    def _there(self, commit: str | None) -> dict[str, RepoFile]:
        listed = self.api.list_repo_tree(self.name, recursive=True, revision=commit, repo_type="dataset")
        return {file.path: file for file in listed if hasattr(file, "blob_id") and file.path not in _OF_HUB}

    def _is_same(self, path: str, there: RepoFile) -> bool:
        """Say whether a file of the dataset has the bytes of the folder's."""
        local = self.files.get(path)
        if local is None or local.stat().st_size != there.size:
            return False
        if there.lfs:
            return content_digest(local, sha256()) == there.lfs.sha256
        return content_digest(local, sha1(b"blob %d\0" % there.size)) == there.blob_id

"""The parameters and constants that decide which pairs are kept, with the sources of their values.

[1] is "Demystifying CLIP Data" (arXiv 2309.16671), [2] "Meta CLIP 2: A Worldwide Scaling Recipe" (arXiv 2507.22062).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from metadata.languages import OTHER, language
from metadata.rules import Rules
from runtime.argument_types import MOST_ROWS, require_integer, require_seed, require_share, typed
from runtime.errors import InputError, ParameterError

ENGLISH = "en"  # The thresholds of all other languages follow from the English threshold [2, Algorithm 1].
ASSUMED_TAIL_SHARE = 0.06  # English has this tail share at the thresholds of [1]; runs without English use it.
MAX_TEXT_LENGTH = 8_192  # Texts are cut to this many characters; hardly one in a million captions of a crawl is longer.
SIZE_PROBES = 15  # A pass over the data tries this many thresholds; they make 16 ranges, so it gives 4 bits of t.
DOUBTFUL_SCORE = 0.5  # With a lower language score, a text is often in another language, or in none.
SURE_SCORE = 0.75  # Texts with at least this score count as evidence for the languages of texts around them.
MatcherName = Literal["trie", "ahocorasick"]
Evidence = Literal["any", "letters"]
Fate = Literal["other", "keep"]
Witness = Literal["han", "pool", "page"]
WITNESSES: tuple[Witness, ...] = get_args(Witness)
HASH_BITS = (64, 256)  # A pHash of a picture has 64 bits, a PDQ hash 256.
MOST_SHARE = 4  # Hashes of copies differ in at most 1/4 of the bits, hashes of unrelated pictures in about 1/2.
ExtraColumn = Literal["license", "record", "judgement"]
EXTRA_COLUMNS: tuple[ExtraColumn, ...] = get_args(ExtraColumn)
LICENSE, RECORD, JUDGEMENT = EXTRA_COLUMNS
OtherThreshold = Literal["own", "same"]


@typed
@dataclass(frozen=True)
class CurationConfig:
    """The parameters of one curation; the command line has the same defaults.

    How much is kept:
      english_threshold: t of English; the tail share of English at this t gives the t of every other language.
      target_size: number of images to keep, instead of english_threshold; the run then searches for the threshold.
      tail_share: p of all languages except English, instead of the tail share that English has at its t.
      seed: another seed keeps other pairs.
    Inputs:
      sample_files: number of files to read, chosen by the seed; None: all files.
      max_texts: the largest number of texts of one image; the texts with the smallest hashes are used.
      max_bad_files, max_bad_records: share of damaged files or records above which a run stops.
      max_shared_uids: a run stops if the uids of more than this share of images are shared by several URLs, or if more
        than this share of the images in a table of the gate have rows that contradict each other.
    How texts are matched:
      rules: how entries are found: `unicode`, as symbols of normalised text; `meta`, as padded substrings, as in Meta
        CLIP's reference.
      matcher: the search algorithm; both algorithms find the same matches.
      evidence: the entry that a text needs to count as matched: any entry, or (`letters`) an entry with two letters.
      min_language_score: texts with a lower language score count as `other`.
      min_language_scores: scores of single languages, as {"da": 0.6}, that replace min_language_score.
      no_language: the language of file names, addresses, HTML and texts without letters: `other`, or `keep` the label.
      wrong_script: the language of texts whose letters are all of scripts in which the label's language is not written:
        `other`, or `keep` the label.
      witnesses: sources that are asked in turn for the language of a doubtful text, until one names it: Han
        characters and kana in the text (`han`), the other texts of its page, host and file (`pool`), its WARC page
        (`page`).
      pool_shares: shares of languages in the pool, as {"en": 0.9, "de": 0.02}, which `pool` weighs instead of the texts
        around a text.
    How the manifest is cut into files:
      rows_per_file: matched images for each curated file, which holds those that are kept.
      extra_columns: further columns: `license`, the licence that pages of the image state for themselves; `record`,
        file and offset of the page's record in its crawl; `judgement`, how probably the text is junk, and a headline.
    Ablations of the papers:
      metadata_of: match texts of every language against the entries of this language.
      merge_languages: match every text against one list of the entries of all languages.
      threshold_per_language: t of each language but English: `own`, from the tail share, or the `same` as English.
      balance: False keeps every image that has a match: all rates are 1.
    """

    english_threshold: int = 20_000  # OpenAI CLIP's 400M from 1.6B pairs; [1] used 170_000 at 10.7B, DataComp 60_000
    target_size: int | None = None
    tail_share: float | None = None
    seed: int = 0
    sample_files: int | None = None
    rules: Rules = "unicode"
    matcher: MatcherName = "trie"
    evidence: Evidence = "any"  # This default is as in [1, 2].
    max_texts: int = 64  # A spacer image has millions of texts.
    max_bad_files: float = 0.5  # A few broken files are usual; if more than half are broken, it is a mistake.
    max_bad_records: float = 0.2  # In Common Crawl, far less than one record in a thousand is bad.
    max_shared_uids: float = 0.01  # This is our choice; the share is 0 if uids are right.
    min_language_score: float = 0.0  # This default is as in [2].
    min_language_scores: dict[str, float] = field(default_factory=dict)
    no_language: Fate = "keep"  # `other` is stricter than [2].
    wrong_script: Fate = "other"  # 1,598 of 124,545 texts lost their label by this; no such label was right
    witnesses: Sequence[Witness] = ("han", "page")  # These two made no language worse; [2] has no witnesses.
    pool_shares: dict[str, float] = field(default_factory=dict)
    rows_per_file: int = 1_000_000  # img2dataset reads a file at once; this many curated rows are a few hundred MB.
    extra_columns: Sequence[ExtraColumn] = ()
    metadata_of: str | None = None  # [2, ablation]
    merge_languages: bool = False  # [2, ablation]
    threshold_per_language: OtherThreshold = "own"  # [2, ablation]
    balance: bool = True  # [1, ablation]

    def __post_init__(self) -> None:
        if self.english_threshold == 0 and not isinstance(self.english_threshold, bool):
            fault = "is 0; it must be at least 1 (to keep all images that match, pass --set balance=false instead)"
            raise ParameterError(fault, "english_threshold")
        require_integer("english_threshold", self.english_threshold, 1, MOST_ROWS)
        for name in ("max_texts", "rows_per_file"):
            require_integer(name, getattr(self, name), minimum=1)
        if self.sample_files is not None:
            require_integer("sample_files", self.sample_files, minimum=1)
        if self.target_size is not None:
            require_integer("target_size", self.target_size, 1, MOST_ROWS)
            self._require_nothing_beside_size()
        if self.tail_share is not None:
            require_share("tail_share", self.tail_share)
        require_seed(self.seed)
        for name in ("min_language_score", "max_bad_files", "max_bad_records", "max_shared_uids"):
            require_share(name, getattr(self, name))
        for name, shares in (("min_language_score", self.min_language_scores), ("pool_shares", self.pool_shares)):
            for code, share in shares.items():
                language(code)  # This refuses an unknown language.
                require_share(name, share)
        if self.pool_shares and "pool" not in self.witnesses:
            fault = "is given, but only the witness `pool` uses it; add pool to the witnesses"
            raise ParameterError(fault, "pool_shares")
        self._require_consistent_ablations()

    @property
    def one_list(self) -> str | None:
        """The language of the only list of entries, `other` for a merged list; None if each language has a list."""
        return OTHER.code if self.merge_languages else self.metadata_of

    @property
    def one_threshold(self) -> bool:
        """Whether every list of entries has the threshold of English."""
        return self.one_list is not None or self.threshold_per_language == "same"

    def curated_files(self, images: int) -> int:
        """Return the number of curated files of a run with `images` matched images: at least 1."""
        return max(1, -(-images // self.rows_per_file))

    def _require_nothing_beside_size(self) -> None:
        # A threshold that equals the default counts as not given, as dataclasses.replace passes all fields on.
        if self.english_threshold != CurationConfig.english_threshold:
            fault = "are both given, but the run searches for the threshold of a target size; pass only one of them"
            raise ParameterError(fault, "target_size", "english_threshold")
        if self.tail_share is not None:
            fault = "are both given, but a target size determines the tail share; pass only one of them"
            raise ParameterError(fault, "target_size", "tail_share")

    def _require_consistent_ablations(self) -> None:
        if self.metadata_of is not None:
            language(self.metadata_of)  # This refuses an unknown language.
            if self.merge_languages:
                fault = "each select one list of entries for all texts; pass only one of them"
                raise ParameterError(fault, "metadata_of", "merge_languages")
        if self.one_threshold and self.tail_share is not None:
            fault = "sets the thresholds of other languages, but all lists have the English threshold; leave it out"
            raise ParameterError(fault, "tail_share")
        if not self.balance:  # An english_threshold that equals the default counts as not given.
            for name in ("english_threshold", "target_size", "tail_share"):
                if getattr(self, name) != getattr(CurationConfig, name):
                    fault = "is only for balancing, which --set balance=false turns off; leave out one of them"
                    raise ParameterError(fault, name)


def require_distance(k: int, bits: int, name: str = "distance") -> None:
    """Raise a ParameterError, naming `name`, unless `k` is an integer from 0 to a quarter of `bits`.

    `k` is the number of bits in which hashes of copies may differ. InputError if `bits` is not in HASH_BITS.
    """
    require_integer(name, k, 0)
    if bits not in HASH_BITS:
        raise InputError(f"the hashes have {bits} bits; pass hashes of 64 bits, as pHash, or of 256 bits, as PDQ")
    if k > bits // MOST_SHARE:
        fault = f"is {k}; hashes of copies may differ in at most {bits // MOST_SHARE} of {bits} bits"
        raise ParameterError(fault, name)

"""The numbers that decide which pairs are kept, with their sources.

[1] is "Demystifying CLIP Data" (arXiv 2309.16671), [2] "Meta CLIP 2: A Worldwide Scaling Recipe" (arXiv 2507.22062).
"""

from dataclasses import dataclass, field

from metadata.languages import OTHER, language
from metadata.rules.text import RULES
from runtime.errors import ParameterError
from runtime.parameters import require_integer, require_one_of, require_share

ENGLISH = "en"  # the language whose threshold is given; all others follow from it [2, Algorithm 1]
ASSUMED_TAIL_SHARE = 0.06  # tail share of English at the thresholds of [1]; taken where a run has no English match
SIZE_PROBES = 15  # thresholds tried in one pass over the data when a size is asked for: each pass gives four bits of t
DOUBTFUL_SCORE = 0.5  # a lower one is a sign of a text that is in no language, or in another
MATCHERS = ("trie", "ahocorasick")
EVIDENCE = ("any", "letters")  # that a text is matched: any entry, or one with two letters
FATES = ("other", "keep")  # of a text that may not be in the language of its label
PAGE_LANGUAGE = ("use", "ignore")  # what becomes of the language that a page states
THRESHOLDS = ("own", "same")  # of each language: from its tail share, or that of English [2, ablation]


@dataclass(frozen=True)
class CurationConfig:
    """The parameters of one curation; their defaults are those of the command line."""

    english_threshold: int = 20_000  # OpenAI CLIP's 400M from 1.6B pairs; [1] took 170_000 at 10.7B, DataComp 60_000
    target_size: int | None = None  # images to keep; the English threshold is then searched for
    tail_share: float | None = None  # p itself, instead of the one that the English threshold implies
    seed: int = 0
    sample_files: int | None = None  # of the files that the inputs stand for; None: all
    rules: str = "unicode"
    matcher: str = "trie"
    evidence: str = "any"  # as in [1, 2]
    max_texts: int = 64  # texts of one image; a spacer image has millions
    max_text_length: int = 8_192  # characters; of a million captions of a crawl, hardly one has so many
    max_bad_files: float = 0.5  # share; a few broken files are usual, more than half are a mistake
    max_bad_records: float = 0.2  # share; in Common Crawl far less than one in a thousand
    max_shared_uids: float = 0.01  # share of images whose uid has several URLs: our choice; right uids share none
    min_language_score: float = 0.0  # below it a text belongs to `other`; 0 as in [2]
    min_language_scores: dict[str, float] = field(default_factory=dict)  # of single languages, instead of it
    no_language: str = "keep"  # texts without letters, file names, addresses, HTML: `other` asks for more than [2]
    wrong_script: str = "other"  # of 1,598 labels that this takes from 124,545 texts, none was right
    page_language: str = "ignore"  # `use`: doubtful texts get the language that their page states
    rows_per_file: int = 1_000_000  # img2dataset reads whole files: this is a few hundred MB of curated rows
    row_group_rows: int = 100_000
    metadata_of: str | None = None  # match texts of every language against this language's entries [2, ablation]
    merge_languages: bool = False  # make one list of all entries and match every text against it [2, ablation]
    threshold_per_language: str = "own"
    balance: bool = True  # False: all rates are 1 [1, ablation]

    def __post_init__(self) -> None:
        for name in ("english_threshold", "max_texts", "max_text_length", "rows_per_file", "row_group_rows"):
            require_integer(name, getattr(self, name), minimum=1)
        if self.sample_files is not None:
            require_integer("sample_files", self.sample_files, minimum=1)
        if self.target_size is not None:
            require_integer("target_size", self.target_size, minimum=1)
            if self.tail_share is not None:
                fault = "are both given; a target size implies the tail share: give one"
                raise ParameterError(fault, "target_size", "tail_share")
        if self.tail_share is not None:
            require_share("tail_share", self.tail_share)
        require_integer("seed", self.seed)
        for name in ("min_language_score", "max_bad_files", "max_bad_records", "max_shared_uids"):
            require_share(name, getattr(self, name))
        for code, score in self.min_language_scores.items():
            language(code)  # refuses an unknown one
            require_share("min_language_score", score)
        require_one_of("rules", self.rules, RULES)
        require_one_of("matcher", self.matcher, MATCHERS)
        require_one_of("evidence", self.evidence, EVIDENCE)
        for name in ("no_language", "wrong_script"):
            require_one_of(name, getattr(self, name), FATES)
        require_one_of("page_language", self.page_language, PAGE_LANGUAGE)
        require_one_of("threshold_per_language", self.threshold_per_language, THRESHOLDS)
        self._require_consistent_ablations()

    @property
    def one_list(self) -> str | None:
        """The language of the one list that every text is matched against; `other` for a merged one, None for many."""
        return OTHER.code if self.merge_languages else self.metadata_of

    @property
    def one_threshold(self) -> bool:
        """Whether every list of entries has the threshold of English."""
        return self.one_list is not None or self.threshold_per_language == "same"

    def _require_consistent_ablations(self) -> None:
        if self.metadata_of is not None:
            language(self.metadata_of)  # refuses an unknown one
            if self.merge_languages:
                raise ParameterError("each name one list for all texts: give one", "metadata_of", "merge_languages")
        if self.one_threshold and self.tail_share is not None:
            fault = "sets the thresholds of other languages, and here every list has that of English: leave it out"
            raise ParameterError(fault, "tail_share")
        if not self.balance:
            for name in ("target_size", "tail_share"):
                if getattr(self, name) is not None:
                    raise ParameterError("is for balancing, and all that matches is kept: leave it out", name)

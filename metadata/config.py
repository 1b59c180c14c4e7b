"""The parameters that decide which strings become entries, with the paper that each default is from.

[1] is "Demystifying CLIP Data" (arXiv 2309.16671), [2] "Meta CLIP 2: A Worldwide Scaling Recipe" (arXiv 2507.22062).
"""

from dataclasses import asdict, dataclass
from typing import Literal

from metadata.rules import Rules
from runtime.argument_types import MOST_ROWS, require_integer, require_number, require_share, typed

ENGLISH = "en"  # the language whose words need a least count, and titles least views, instead of a share [1]
BigramScore = Literal["association", "pmi"]


@typed
@dataclass(frozen=True)
class MetadataConfig:
    """The parameters of one build; the command line has the same defaults.

    unigram_share: the share of a language's distinct words that become entries, the most frequent first.
    unigram_limit: the most words of a language that become entries.
    english_unigram_count: the least count of an English word that becomes an entry; replaces `unigram_share`.
    bigram_share: the number of word pairs that become entries, divided by the number of words that become entries.
    bigram_limit: the most word pairs of a language that become entries.
    title_share: the share of a language's titles that become entries, the most viewed first.
    title_limit: the most titles of a language that become entries.
    english_title_views: the least views of an English title that becomes an entry; replaces `title_share`.
    least_zipf: the least Zipf value of a word of a frequency list that becomes an entry.
    bigram_score: the score that ranks word pairs: "association" combines PMI and count, "pmi" is only the PMI [1].
    pmi_percentile: the percentile of the PMIs of a language that "association" subtracts from each PMI.
    count_exponent: the exponent of a pair's count in the score "association".
    bigram_min_pmi: with "pmi", only pairs with a higher PMI become entries.
    longest_entry: the most characters of an entry.
    rules: the rules by which entries will be matched, `unicode` or `meta`.
    """

    unigram_share: float = 0.10  # [2]
    unigram_limit: int = 251_465  # English in [1]; the most for every language in [2]
    english_unigram_count: int = 100  # [1]
    bigram_share: float = 0.40  # 100,646 / 251,465 in [1]
    bigram_limit: int = 100_646  # as unigram_limit
    title_share: float = 0.76  # [2]
    title_limit: int = 61_235  # as unigram_limit
    english_title_views: int = 70  # [1]
    least_zipf: float = 2.5  # one word in 3 million; a fifth of the words in wordfreq's large lists are as frequent
    bigram_score: BigramScore = "association"  # [2, appendix]; "pmi" is the rule of [1]
    pmi_percentile: float = 30.0  # [2, appendix]
    count_exponent: float = 0.7  # [2, appendix]
    bigram_min_pmi: float = 30.0  # [1]; no corpus below 2^30 words can have more
    longest_entry: int = 256
    rules: Rules = "unicode"

    def __post_init__(self) -> None:
        for name in ("unigram_limit", "bigram_limit", "title_limit"):
            require_integer(name, getattr(self, name), minimum=0)
        for name in ("english_unigram_count", "english_title_views"):
            require_integer(name, getattr(self, name), 1, MOST_ROWS)
        require_integer("longest_entry", self.longest_entry, minimum=1)
        for name in ("unigram_share", "bigram_share", "title_share"):
            require_share(name, getattr(self, name))
        require_number("pmi_percentile", self.pmi_percentile, 0, 100)
        require_number("least_zipf", self.least_zipf, 0, 10)  # 0 means once in a billion words.
        require_number("count_exponent", self.count_exponent, 0, 10)
        require_number("bigram_min_pmi", self.bigram_min_pmi, -1000, 1000)

    def numbers(self) -> dict:
        """Return all parameters by name except `rules`: the counts of n-grams and titles do not depend on the rules."""
        return {name: value for name, value in asdict(self).items() if name != "rules"}

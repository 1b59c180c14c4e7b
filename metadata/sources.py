"""The files and lists from which the entries of each language are made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version

from metadata import frequency_lists
from metadata.frequency_lists import WORDFREQ, FrequencyList
from metadata.languages import LANGUAGES, language, of_wikipedia
from metadata.wikipedia import articles, files
from metadata.wikipedia import pageviews as views
from metadata.wikipedia.files import WikipediaFile
from metadata.wordnet import formats, packaged
from metadata.wordnet.formats import WordnetFile
from runtime.errors import require_several, typed


@typed
@dataclass(frozen=True)
class Sources:
    """The files of a build as their modules find them, and lists of entries that replace them in some languages."""

    wordnets: Sequence[WordnetFile] = ()
    wikipedias: Sequence[WikipediaFile] = ()
    pageviews: Sequence[str] = ()
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by language code
    wanted: Sequence[str] | None = None  # language codes; None: all that have a source
    frequencies: Sequence[FrequencyList] = ()

    @classmethod
    def find(
        cls,
        *,
        wordnet: Iterable[str] = (),
        wikipedia: Iterable[str] = (),
        pageviews: Iterable[str] = (),
        frequencies: Iterable[str] = (),
        lists: Mapping[str, Sequence[str]] | None = None,
        languages: Sequence[str] | None = None,
        wikipedia_code: str | None = None,
    ) -> Sources:
        """Return the sources in files, folders, globs or URLs; refuse what is missing or of another kind.

        `wikipedia_code` says of which Wikipedia the dumps are, where neither their paths nor their heads do.
        """
        given = {"wordnet": wordnet, "wikipedia": wikipedia, "pageviews": pageviews, "frequencies": frequencies}
        for name, paths in given.items():
            require_several(name, paths)
        return cls(
            wordnets=formats.find(wordnet),
            wikipedias=files.find(wikipedia, wikipedia_code),
            pageviews=views.find(pageviews),
            frequencies=frequency_lists.find(frequencies),
            lists=lists or {},
            wanted=languages,
        )

    def __post_init__(self) -> None:
        for code, strings in self.lists.items():
            require_several(f"entries of {code}", strings)
        for code in self.wanted or ():
            language(code)

    @cached_property
    def languages(self) -> list[str]:
        """The languages to build, in the fixed order; with page views alone that is every one that is wanted."""
        with_source = {file.language.code for file in self.wordnets} | set(self.lists)
        with_source |= {each.language.code for each in self.frequencies}
        with_source |= {of_wikipedia(file.wikipedia).code for file in self.wikipedias}
        if self.pageviews:
            with_source |= {language.code for language in LANGUAGES if language.wikipedia}
        if self.wanted is not None:
            with_source &= set(self.wanted)
        return [language.code for language in LANGUAGES if language.code in with_source]

    @cached_property
    def counted(self) -> list[str]:
        """The languages whose words and pairs are counted."""
        return [code for code in self.languages if code not in self.lists and self.wikipedias_of(code)]

    def wordnets_of(self, code: str) -> list[WordnetFile]:
        """Return the wordnets of a language."""
        return [file for file in self.wordnets if file.language.code == code]

    def frequencies_of(self, code: str) -> list[FrequencyList]:
        """Return the frequency lists of a language."""
        return [each for each in self.frequencies if each.language.code == code]

    @property
    def is_starter(self) -> bool:
        """Whether frequency lists stand in for Wikipedia and page views."""
        return bool(self.frequencies) and not (self.wikipedias or self.pageviews)

    def licences(self) -> dict[str, str]:
        """Return the licence of each source that states one, by its name."""
        lists = {each.source: each.licence for each in self.frequencies if each.licence}
        return lists | formats.licences(self.wordnets)

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages that bring sources."""
        sources = {each.source for each in self.frequencies}
        own = {WORDFREQ: version(WORDFREQ)} if WORDFREQ in sources else {}
        return own | packaged.versions([file.path for file in self.wordnets])

    def wikipedias_of(self, code: str) -> list[WikipediaFile]:
        """Return the files of the Wikipedias that are merged into a language."""
        return [file for file in self.wikipedias if of_wikipedia(file.wikipedia).code == code]

    @cached_property
    def namespaces(self) -> dict[str, list[str]]:
        """The namespaces of each Wikipedia, from the headers of its dumps; perhaps only one of them has a header."""
        found = defaultdict(set)
        for file in self.wikipedias:
            found[file.wikipedia].update(articles.namespaces(file))
        return {code: sorted(names) for code, names in sorted(found.items()) if names}

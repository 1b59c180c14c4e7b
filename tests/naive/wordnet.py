"""Naive twins of metadata.wordnet: lemmas from the definitions of the file formats, without the package's code."""


def naive_dict_lemmas(text: str) -> list[str]:
    """Return the distinct words of a data.* file of Princeton's, in its order."""
    found = []
    for line in text.splitlines():
        if line.startswith("  "):
            continue
        fields = line.split()
        for number in range(int(fields[3], base=16)):
            word = fields[4 + 2 * number]
            for marker in ("(a)", "(p)", "(ip)"):
                word = word.removesuffix(marker)
            found.append(word.replace("_", " "))
    return list(dict.fromkeys(found))


def naive_tab_fields(text: str) -> list[str]:
    """Return the distinct fields of an OMW tab file that hold a lemma, as they are spelt, in its order."""
    found = []
    for line in text.split("\n"):
        fields = line.split("\t")
        if not line.startswith("#") and len(fields) > 2 and fields[1].split(":")[-1] == "lemma":
            found.append(fields[2])
    return list(dict.fromkeys(found))

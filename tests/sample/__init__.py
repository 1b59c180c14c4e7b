"""A crawl of made-up pages in twenty languages, with entries to match it: `python tests/sample/make_sample.py DIR`."""

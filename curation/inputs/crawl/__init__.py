"""Read Common Crawl: the images of the pages in WAT and WARC files."""

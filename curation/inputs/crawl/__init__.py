"""Read Common Crawl: the images of the web pages in WAT and WARC files."""

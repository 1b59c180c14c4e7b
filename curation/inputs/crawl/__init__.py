"""Common Crawl: WAT and WARC files to the images of their pages."""

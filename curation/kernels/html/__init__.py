"""Find elements in HTML and read their attributes, by its tokens alone and in time that grows as the page does."""

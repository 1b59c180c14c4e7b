"""Words and word pairs: cut from texts, counted, and chosen to become entries."""

"""The judge: which texts are junk or headlines, by a linear model."""

"""Counts to thresholds, thresholds to sampling rates, rates to the texts and images that are kept."""

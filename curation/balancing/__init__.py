"""Turn counts into thresholds and sampling rates, and keep texts and images by them."""

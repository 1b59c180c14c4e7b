"""Turn counts into thresholds and sampling rates, and sample texts and images by these rates."""

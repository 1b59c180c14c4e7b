"""New folders made from a finished run: DataComp, Hugging Face, Croissant, Meta CLIP, and removal."""

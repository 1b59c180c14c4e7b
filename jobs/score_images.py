"""Score images by a CLIP model: `python jobs/score_images.py --help`."""

import sys

try:
    from runtime.programs import score_images
except ModuleNotFoundError:
    print(
        f"clip-curation is not installed in {sys.executable}: activate the environment that holds it, or install it "
        "there: pip install FOLDER_OF_THE_PROJECT",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    score_images()

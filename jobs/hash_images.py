"""Write the size, SHA-256 and perceptual hashes of pictures to a table.

`spark-submit jobs/hash_images.py --input images --output hashes`
"""

import sys

try:
    from curation.leaves.hashing import program
except ModuleNotFoundError:
    print(
        f"clip-curation is not installed in {sys.executable}: activate the environment that holds it, or install it "
        "there: pip install FOLDER_OF_THE_PROJECT",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    program()

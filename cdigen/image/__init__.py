"""The root file system of a container image, merged in memory from wherever it is kept, and what is wrong in it.

Nothing is unpacked to the disk. Every archive is untrusted: names, counts, sizes and depths are bounded.
"""

from cdigen.image.image import Image, Layer
from cdigen.image.open import open_image
from cdigen.image.tree import Tree

__all__ = ["Image", "Layer", "Tree", "open_image"]

"""Archives of images: what `load` reads and `save` writes, one file each; nothing is unpacked to the disk."""

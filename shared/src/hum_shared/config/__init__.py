"""Configuration files: one strict, frozen model per file, and the reader and writer of the `.cfg` format."""

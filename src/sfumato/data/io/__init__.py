"""Files and data frames: read without changing a value, written atomically."""

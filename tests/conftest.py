"""Its place makes what the rooms' tests share, such as `scenery`, importable from all of them."""

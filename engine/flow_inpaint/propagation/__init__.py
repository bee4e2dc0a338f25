"""Pixels along the flow: tracing where they come from, and joining them to the picture."""

"""Clean pictures of single frames, given by the editor: read, brought to the footage's light, carried through the shot."""
from .carry import link_references
from .lighting import relit
from .reading import ReferencePicture, digest, open_references, read_reference

__all__ = ["ReferencePicture", "digest", "link_references", "open_references", "read_reference", "relit"]

"""The networks' weights: what is installed, which set serves which role, and bringing in files from elsewhere.

    catalog.py         what the catalogues say, and which set is the best for a role
    architectures.py   the networks that weights can be for: recognising them, and what belongs in a set
    loading.py         from a file to tensors, never unchecked
    checkpoints.py     opens the files of others, without running what is in them
    importing.py       makes such a file a set of ours

Only reading and importing tensors needs PyTorch; asking the catalogues does not.
"""
from __future__ import annotations

from .architectures import ARCHITECTURES, LIGHT, ROLES, WIDEST, Architecture
from .catalog import EXTRA_FOLDER, Quality, WeightSet, best, find, sets, user_folder
from .importing import import_file, remove, store
from .loading import load, verify

__all__ = [
    "ARCHITECTURES",
    "EXTRA_FOLDER",
    "LIGHT",
    "ROLES",
    "WIDEST",
    "Architecture",
    "Quality",
    "WeightSet",
    "best",
    "find",
    "import_file",
    "load",
    "remove",
    "sets",
    "store",
    "user_folder",
    "verify",
]

"""Reading and writing footage and mattes."""
from .info import ClipInfo, ColourTags
from .matte import Matte, open_matte
from .output import Output, OutputFiles, open_output
from .picture import Picture
from .source import Source, open_source

__all__ = ["ClipInfo", "ColourTags", "Matte", "Output", "OutputFiles", "Picture", "Source", "open_matte", "open_output", "open_source"]

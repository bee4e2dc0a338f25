"""Flow Inpaint's engine: removes what a matte covers from a shot, guided by optical flow.

Xu, Li, Zhou, Loy: Deep Flow-Guided Video Inpainting, CVPR 2019.
"""

import os

__version__ = "0.1.0"

# Read by OpenCV when it is imported: what a damaged header may claim at most. Its own limit would be 3 GB and more.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))

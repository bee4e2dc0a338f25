"""Flow Inpaint's engine: removes what a matte covers from a shot, guided by optical flow.

Xu, Li, Zhou, Loy: Deep Flow-Guided Video Inpainting, CVPR 2019.
"""

import os

__version__ = "0.1.0"

# Read by OpenCV when it is imported: what a damaged header may claim at most. Its own limit would be 3 GB and more.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))

# Read by NumPy, SciPy and OpenCV when they are imported. Frames are worked on side by side, so the algebra in each needs no threads of its
# own: where others are busy too they wait for each other, which takes a hundred times as long as the work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

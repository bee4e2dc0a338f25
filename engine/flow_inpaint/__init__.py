"""Flow Inpaint's engine: removes what a matte covers from a shot, guided by optical flow.

Xu, Li, Zhou, Loy: Deep Flow-Guided Video Inpainting, CVPR 2019.
"""

__version__ = "0.1.0"

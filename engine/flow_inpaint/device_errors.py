"""What PyTorch's errors mean for a device: it is short of memory, or it has failed.

PyTorch has few classes for that, and its libraries none: most of it is said in the text alone. Nothing here imports PyTorch.
"""
from __future__ import annotations

_SHORT = (
    *("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "memory allocation failure"),
    *("cublas_status_alloc_failed", "cudnn_status_alloc_failed", "hipblas_status_alloc_failed", "rocblas_status_memory_error"),
)
_FAILED = (
    # CUDA and its libraries.
    *("cuda error", "cuda driver error", "cuda unknown error", "cudnn error", "cudnn_status_", "cublas_status_", "cusolver_status_"),
    *("cufft error", "cufft_", "cusparse_status_", "nvrtc", "no cuda gpus are available", "found no nvidia driver"),
    *("unspecified launch failure", "device-side assert", "illegal memory access", "no kernel image", "uncorrectable ecc error"),
    *("no longer available", "device is lost", "device lost", "device removed", "fallen off the bus"),
    # ROCm.
    *("hip error", "hip_error", "hiperror", "miopen", "rocblas", "hipblas_status_", "rocfft"),
    # Apple.
    *("mps backend", "metal device", "[metal]", "command buffer", "iogpucommandbuffer", "mtlcommandbuffer"),
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine itself, has too little memory for what was tried: less may do."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _says(error, _SHORT))


def is_device_failure(error: BaseException) -> bool:
    """Whether the graphics card, its driver or a library of its has failed: on another device the same may do."""
    return isinstance(error, RuntimeError) and not _says(error, _SHORT) and _says(error, _FAILED)


def in_short(error: BaseException) -> str:
    """What the library says, without the advice to programmers that follows it."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".:") if lines else type(error).__name__


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    # An `OutOfMemoryError` may have any text, or none.
    text = f"{'out of memory' if type(error).__name__ == 'OutOfMemoryError' else ''} {error}".lower()
    return any(word in text for word in words)

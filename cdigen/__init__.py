"""cdigen writes a Container Device Interface spec for NVIDIA GPUs that needs no hook."""

__version__ = "0.1.0"

"""What one session may use."""

from __future__ import annotations

import resource
from dataclasses import dataclass, fields
from typing import ClassVar

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Limits of a session; all but the last three are the kernel's to hold.

    Attributes:
        cpu_seconds: CPU time of all its calls together.
        memory_mb: address space on top of what an idle interpreter maps.
        scratch_mb: its own directory, and any file in it.
        threads: at once; where the kernel cannot count them per session, none but the first.
        open_files: descriptors.
        output_chars: bytes kept of each of standard output, standard error, the value and the error of a call.
        images: images and figures returned per call; 0 for none.
        image_pixels: pixels of all images returned by a call.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    cpu_seconds: int = 600
    memory_mb: int = 2048
    scratch_mb: int = 64
    threads: int = 32
    open_files: int = 128
    output_chars: int = 20_000
    images: int = 8
    image_pixels: int = 1 << 24

    def __post_init__(self) -> None:
        for field in fields(self):
            value, least = getattr(self, field.name), 0 if field.name == "images" else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{field.name} must be an integer >= {least}, found {value!r}")

    def enforce(self, mapped_bytes: int, count_threads: bool) -> None:
        """Set them on this process.

        Args:
            mapped_bytes: its address space so far.
            count_threads: whether its user's processes are all its own.
        """
        limits = {
            resource.RLIMIT_CPU: self.cpu_seconds,
            resource.RLIMIT_AS: mapped_bytes + self.memory_mb * MIB,
            resource.RLIMIT_FSIZE: self.scratch_mb * MIB,
            resource.RLIMIT_NOFILE: self.open_files,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_MEMLOCK: 0,
            resource.RLIMIT_MSGQUEUE: 0,
            resource.RLIMIT_SIGPENDING: 64,
            resource.RLIMIT_STACK: 8 * MIB,
        }
        if count_threads:
            limits[resource.RLIMIT_NPROC] = self.threads
        for kind, limit in limits.items():
            hard = limit + 1 if kind == resource.RLIMIT_CPU else limit  # SIGXCPU first, SIGKILL after
            _, ceiling = resource.getrlimit(kind)
            if ceiling != resource.RLIM_INFINITY:
                limit, hard = min(limit, ceiling), min(hard, ceiling)
            resource.setrlimit(kind, (limit, hard))

"""The memory that a training may take."""

import os
from pathlib import Path
from typing import Literal

import torch

GIB = 2**30
SHARE = 0.9  # of what is there


def budget(value: float | Literal["auto"], device: str = "cpu", jobs: int = 1) -> int:
    """Bytes for one of ``jobs`` trainings at a time: GiB for each, or with "auto" what this machine has.

    CPU: a share of what is available, within the limits of the process's control groups. GPU: of what is free or
    reserved by this process already, within torch's fraction for it.
    """
    if value != "auto":
        return int(value * GIB)
    there = _of_gpu(device) if device.startswith("cuda") else min(_available(), _left_in_groups())
    return int(SHARE * there) // jobs


def _of_gpu(device: str) -> float:
    free, total = torch.cuda.mem_get_info(device)
    fraction = torch.cuda.get_per_process_memory_fraction(device)
    return min(free + torch.cuda.memory_reserved(device), fraction * total)


def _available(path: Path = Path("/proc/meminfo")) -> float:
    """Bytes that can be taken without swapping; the whole memory where only that is known."""
    try:
        fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _left_in_groups(root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> float:
    """Bytes up to the nearest limit of the process's control groups (versions 1 and 2) and of those around them."""
    left = float("inf")
    try:
        entries = [line.split(":", 2) for line in groups.read_text().splitlines()]
    except OSError:
        return left
    for _, controllers, path in entries:
        if not controllers:
            top, limit, used = root, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            top, limit, used = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        inner = top / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder == top or top in folder.parents:  # inside a container the path may be the host's: passed over
                left = min(left, _left(folder, limit, used))
    return left


def _left(folder: Path, limit: str, used: str) -> float:
    try:
        allowed, taken = (folder / limit).read_text().strip(), int((folder / used).read_text())
        if allowed == "max":
            return float("inf")
        fields = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        files = int(fields.get("total_inactive_file", fields.get("inactive_file", 0)))  # the kernel gives these back
        return max(0, int(allowed) - taken + files)
    except (OSError, ValueError):
        return float("inf")

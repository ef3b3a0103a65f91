"""The platforms that wheels are built for, and those that the code must only compile for."""

from typing import NamedTuple

PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.13t", "3.14t")  # t: free-threaded
GLIBC = "2.28"  # of manylinux_2_28: Debian 10, Ubuntu 18.10, RHEL 8 and newer


class Target(NamedTuple):
    """A platform, in the words of zig, of CPython and of wheels."""

    triple: str
    suffix: str  # of an extension module; {tag} is CPython's tag, such as 313 or 313t
    platform: str = ""  # of a wheel; empty for a platform that zig builds none for
    numpy: str = ""  # the platform of numpy's wheel whose headers are used, if not the host's
    options: tuple[str, ...] = ()

    @property
    def windows(self) -> bool:
        """Whether modules are linked with an import library of CPython's."""
        return "windows" in self.triple

    def extension_suffix(self, python: str) -> str:
        """Return the file name's part after the module's name, for CPython ``python``."""
        return self.suffix.format(tag=python.replace(".", ""))


def _linux(machine: str) -> Target:
    return Target(
        f"{machine}-linux-gnu.{GLIBC}",
        f".cpython-{{tag}}-{machine}-linux-gnu.so",
        f"manylinux_{GLIBC.replace('.', '_')}_{machine}",
        options=("-Wl,-s", "-ldl"),
    )


LINUX = {machine: _linux(machine) for machine in ("x86_64", "aarch64")}
OTHERS = {
    "macos": Target(
        "aarch64-macos.11.0",
        ".cpython-{tag}-darwin.so",
        numpy="macosx_11_0_arm64",
        options=("-undefined", "dynamic_lookup"),
    ),
    "windows": Target("x86_64-windows-gnu", ".cp{tag}-win_amd64.pyd", numpy="win_amd64"),
}

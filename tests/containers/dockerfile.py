"""A Dockerfile's instructions, executed in containers that overlayfs and namespaces play.

``FROM`` an image that is no stage of the file is the base layer, which has the interpreter and the
packages, ortmmap among them: ``RUN pip install`` only checks that they are there, and wheels are
not copied.
"""

import importlib.metadata
import json
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from containers.image import Container, Image


def built(dockerfile: Path, context: Path, folder: Path) -> Image:
    """Build an image as ``docker build`` does, its layers in `folder`; return the last stage's."""
    build = _Build(context, folder)
    for instruction, arguments in _instructions(dockerfile.read_text()):
        getattr(build, f"do_{instruction.lower()}")(arguments)
    return build.image


class _Build:
    """The stage that is being built, and those before it by name."""

    def __init__(self, context: Path, folder: Path) -> None:
        self._context, self._folder = context, folder
        self._base = Image.base(folder / "base")
        self._stages: dict[str, Image] = {}
        self._name = ""
        self._count = 0
        self.image = self._base

    def do_from(self, arguments: str) -> None:
        source, *named = arguments.split()
        self.image = self._stages.get(source, self._base)
        self._name = named[1] if named else ""
        self._keep(self.image)

    def do_run(self, command: str) -> None:
        words = shlex.split(command)
        if words[:2] == ["pip", "install"]:
            for name in words[2:]:
                assert name.endswith("ortmmap-*.whl") or importlib.metadata.version(name)
            return
        step = Container(self.image, self._new_folder())
        step.run(["sh", "-c", command])
        self._keep(self.image.with_layer(step.upper))

    def do_copy(self, arguments: str) -> None:
        *options, source, target = arguments.split()
        if source.endswith(".whl"):
            return
        layer = self._new_folder() / "layer"
        destination = layer / target.lstrip("/")
        destination.parent.mkdir(parents=True)
        if not options:
            shutil.copy2(self._context / source, destination)
            destination.chmod(0o644)
        else:
            ((option, stage),) = (one.split("=") for one in options)
            assert option == "--from"
            taken = Container(self._stages[stage], self._new_folder(), volumes={layer: "/layer"})
            taken.run(["cp", "-a", source, f"/layer{target}"])
        for parent in destination.relative_to(layer).parents:
            (layer / parent).chmod(0o755)
        self._keep(self.image.with_layer(layer))

    def do_env(self, arguments: str) -> None:
        variables = dict(one.split("=", 1) for one in shlex.split(arguments))
        self._keep(self.image.with_environment(**variables))

    def do_user(self, user: str) -> None:
        self._keep(replace(self.image, user=user))

    def do_workdir(self, folder: str) -> None:
        self._keep(replace(self.image, workdir=folder))

    def do_cmd(self, command: str) -> None:
        self._keep(replace(self.image, command=tuple(json.loads(command))))

    def _keep(self, image: Image) -> None:
        self.image = image
        if self._name:
            self._stages[self._name] = image

    def _new_folder(self) -> Path:
        self._count += 1
        made = self._folder / f"step-{self._count}"
        made.mkdir(parents=True)
        return made


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            instruction, arguments = line.split(maxsplit=1)
            yield instruction, arguments

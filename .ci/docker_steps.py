"""The Dockerfile's steps in clean roots, where no container engine runs: `python .ci/docker_steps.py`, as root.

Every stage starts from a fresh minimal Debian (debootstrap) into which this interpreter is copied, in place of the
official Python image. Instructions that this file does not know are errors. At the end the image's command runs, and a
step is simulated, as the image's user. Exit code 0 if all of that works.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).parents[1]
RELEASE = "bookworm"
LIBRARIES = "ca-certificates,libssl3,libffi8,zlib1g,libbz2-1.0,liblzma5,libsqlite3-0"  # what the interpreter links
OF_HOST = ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt", "etc/pip.conf")
JOB = ("simulate", "--model", "gpt2", "--cluster", "1xdgx-h100", "--seq-len", "1024")


@dataclass
class Stage:
    """A root being filled, and what its instructions set."""

    root: Path
    workdir: str = "/"
    user: str = "0"
    entry: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def run(self, words: list[str]) -> None:
        """Run a command inside, as the stage's user in its folder."""
        inside = f"cd {shlex.quote(self.workdir)} && exec {shlex.join(words)}"
        environment = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "http"))}
        path = f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        subprocess.run(
            ["chroot", f"--userspec={self.user}:{self.user}", str(self.root), "/bin/sh", "-c", inside],
            env={"PATH": path, "HOME": self.workdir, "DEBIAN_FRONTEND": "noninteractive", **environment},
            check=True,
        )


def mirror() -> str:
    """Where apt of this machine takes Debian from; DEBIAN_MIRROR in its place where it is no Debian."""
    if named := os.environ.get("DEBIAN_MIRROR"):
        return named
    shown = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", f"Codename: {RELEASE}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return shown.stdout.split()[0]


def base(root: Path) -> None:
    """A minimal Debian with this interpreter, all users may run it."""
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={LIBRARIES}", RELEASE, str(root), mirror()],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for name in OF_HOST:
        if (Path("/") / name).exists():
            shutil.copy(Path("/") / name, root / name)
    inside = root / sys.base_prefix.lstrip("/")
    unneeded = shutil.ignore_patterns("site-packages", "__pycache__", "test")
    shutil.copytree(sys.base_prefix, inside, symlinks=True, ignore=unneeded)
    for folder in (inside, *inside.parents[: len(inside.relative_to(root).parts)]):
        folder.chmod(0o755)
    Stage(root).run(["python3", "-m", "ensurepip"])
    (inside / "bin" / "pip").unlink(missing_ok=True)
    (inside / "bin" / "pip").symlink_to("pip3")


def instructions(text: str) -> list[tuple[str, str]]:
    """Name and rest of each instruction, continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def execute(text: str, folder: Path) -> Stage:
    """All stages in order; the last one is the image."""
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    clean = folder / "base"
    base(clean)
    for name, rest in instructions(text):
        sys.stdout.write(f"{name} {rest}\n")
        sys.stdout.flush()
        if name == "FROM":
            stage = Stage(folder / f"stage{len(stages)}")
            stages[rest.split(" AS ")[-1]] = stage
            subprocess.run(["cp", "--archive", clean, stage.root], check=True)  # devices too
        elif name == "RUN":
            run(stage, rest, stages)
        elif name == "WORKDIR":
            stage.workdir = rest
            (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif name == "COPY" and rest == ". .":
            copy_context(stage)
        elif name == "USER":
            stage.user = rest
        elif name in ("ENTRYPOINT", "CMD"):
            words = [str(word) for word in re.findall(r'"([^"]*)"', rest)]
            stage.entry, stage.command = (words, stage.command) if name == "ENTRYPOINT" else (stage.entry, words)
        else:
            raise SystemExit(f"{name} {rest}: not known here")
    return stage


def run(stage: Stage, rest: str, stages: dict[str, Stage]) -> None:
    """A RUN, with the folder of an earlier stage that it may mount."""
    mount = re.match(r"--mount=type=bind,from=(\w+),source=(\S+),target=(\S+) ", rest)
    if mount is None:
        stage.run(["/bin/sh", "-c", rest])
        return
    source, target = stages[mount[1]].root / mount[2].lstrip("/"), stage.root / mount[3].lstrip("/")
    shutil.copytree(source, target)
    stage.run(["/bin/sh", "-c", rest[mount.end() :]])
    shutil.rmtree(target)


def copy_context(stage: Stage) -> None:
    """The files that git knows, less those of .dockerignore that are folders or files by name."""
    ignored = tuple((SOURCE / ".dockerignore").read_text(encoding="utf-8").split())
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=SOURCE, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if name.startswith(tuple(f"{entry.rstrip('/')}/" for entry in ignored)) or name in ignored:
            continue
        to = stage.root / stage.workdir.lstrip("/") / name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / name, to)


def main() -> int:
    """Build, then run what `docker run` would."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise SystemExit("this needs root and debootstrap")
    with tempfile.TemporaryDirectory() as folder:
        image = execute((SOURCE / "Dockerfile").read_text(encoding="utf-8"), Path(folder))
        image.run([*image.entry, *image.command])
        image.run([*image.entry, *JOB])
        image.run(["/bin/sh", "-c", 'test "$(id -u)" = 1000 && touch written && ! touch /not-mine'])
    sys.stdout.write("every step works\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

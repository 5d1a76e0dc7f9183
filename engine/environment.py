"""A Python environment of the project: a folder beside launch.py that holds what requirement files pin.

The program's own is `.venv`; what cannot live beside it (LLaMA-Factory, RadEval) has one each. All are made, repaired
and brought up to date by this one mechanism: a marker in the folder holds the hash of every requirement file that was
installed as a whole, and whoever finds the marker as the files want it goes on at once. An interrupted installation has
no marker and is taken up where it ended.

Standard library only, because the launcher asks before anything is installed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from engine import paths, pins
from engine.errors import InputError, ResourceError, UsageError

MARKER = ".interval-requirements"
LOG = "install.log"
PLACE = "INTERVAL_ENVIRONMENTS"
"""Environment variable: the folder of the environments besides the program's own; the project's unless set."""

BESIDE = {"llamafactory": ("LLaMA-Factory", 8), "radeval": ("RadEval", 8)}
"""Environments besides the program's own: whose needs they are, and the GB they take."""

Report = Callable[[int, int, str], None]
"""Called with what is done, its total and what it is: 3 of 120 packages."""


class Environment:
    """One environment.

    Args:
        folder: where it lies.
        files: the requirement files it is made of, in the project's folder.
        gigabytes: what it takes on the disk.
        owner: whose needs they are, for messages.
    """

    def __init__(self, folder: Path, files: tuple[str, ...], gigabytes: int, owner: str) -> None:
        self.folder, self.files, self.gigabytes, self.owner = folder, files, gigabytes, owner
        self.log = folder / LOG
        self._marker = folder / MARKER

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def site_packages(self) -> Path:
        """Where it keeps its packages."""
        return self.folder / ("Lib/site-packages" if os.name == "nt" else f"lib/python{version()}/site-packages")

    def complete(self) -> bool:
        """Whether it holds what its files ask for and its interpreter still is the one it was made with."""
        record = self._recorded()
        if not self.python.exists() or any(record.get(file) != value for file, value in self._digests().items()):
            return False
        return record.get("python") == version() or record.get("python") == self._version()

    def make(self, *, inside: bool = False, report: Report = lambda done, total, what: None) -> None:
        """Make it whole unless it is: create or repair it, install its files, and mark it complete at the very end.

        Two that want to do so at once do it one after the other (where the system has flock).

        Args:
            inside: whether this very process runs in it, so that it cannot be made anew.
            report: told how far it is.

        Raises:
            ResourceError: there is not enough disk.
            InputError: it cannot be installed; the message says why.
        """
        if self.complete():
            return
        with self._only_one():
            if not self.complete():
                self._install(inside, report)

    def _install(self, inside: bool, report: Report) -> None:
        record = self._recorded()
        self._marker.unlink(missing_ok=True)
        if inside or self._version() == version():
            say(f"Bringing the environment {self.folder.name} up to date.")
        else:
            record = {}
            self._create()
        for info in self.site_packages.glob("*.dist-info"):  # pip writes RECORD last: without it, it was cut off
            if not (info / "RECORD").is_file():
                shutil.rmtree(str(info))
        _Pip(self, report).run()
        lines = {**record, **self._digests(), "python": version()}
        partial = self._marker.with_name(MARKER + ".partial")
        partial.write_text("".join(f"{key} {value}\n" for key, value in sorted(lines.items())), encoding="utf-8")
        partial.replace(self._marker)

    def _create(self) -> None:
        """An empty environment with pip in it, in place of whatever is there."""
        import venv

        paths.ensure(self.folder.parent)
        free = shutil.disk_usage(str(self.folder.parent)).free / 1e9
        if free < self.gigabytes:
            raise ResourceError(
                f"{self.owner} needs about {self.gigabytes} GB for its environment, and {free:.1f} GB are free."
            )
        say(f"First start: making the environment {self.folder.name} and installing what {self.owner} needs. "
            "This happens once.")  # fmt: skip
        venv.EnvBuilder(clear=True, symlinks=os.name != "nt").create(str(self.folder))
        if subprocess.run([str(self.python), "-m", "ensurepip", "--default-pip"], capture_output=True).returncode:
            raise InputError(
                "This Python comes without pip. On Debian and Ubuntu install the package python3-venv first."
            )

    def _digests(self) -> dict[str, str]:
        """File name to hash, for its requirement files."""
        return {file: pins.digest(pins.read(paths.PROJECT / file)) for file in self.files}

    def _recorded(self) -> dict[str, str]:
        """What the marker says was installed: 'python' and each requirement file; empty without an environment."""
        try:
            lines = self._marker.read_text(encoding="utf-8").splitlines()
        except OSError:
            return {}
        return dict(line.split(" ", 1) for line in lines if " " in line)

    def _version(self) -> str:
        """Its interpreter's version; empty if that does not run, is not one of its own or has no pip."""
        code = (
            "import sys, pip._internal.cli.main; print('%d.%d' % sys.version_info[:2], sys.prefix != sys.base_prefix)"
        )
        try:
            asked = subprocess.run([str(self.python), "-c", code], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return asked.stdout.split()[0] if asked.stdout.endswith(" True\n") else ""

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        """Two must not install into one environment at once: the second waits."""
        with (paths.PROJECT / self.files[0]).open("rb") as door:
            with contextlib.suppress(ImportError, OSError):  # no flock on this system or this file system
                import fcntl

                try:
                    fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    say("Another start is installing right now; waiting for it.")
                    fcntl.flock(door, fcntl.LOCK_EX)
            os.set_inheritable(door.fileno(), True)  # pip holds the lock too, and outlives a launcher that is killed
            yield


class _Pip:
    """One run of pip into an environment, followed on one line of the terminal."""

    NO_NETWORK = re.compile(
        "NewConnectionError|ConnectTimeout|ReadTimeout|timed out|Connection (refused|reset|aborted|broken)|ProxyError"
        "|NameResolution|Temporary failure in name resolution|Network is unreachable|SSLError|CERTIFICATE_VERIFY_FAILED"
    )
    NO_SPACE = re.compile("No space left on device|Disk quota exceeded|not enough space on the disk")
    NOT_FOUND = re.compile("No matching distribution found for ([A-Za-z0-9._-]+)")
    COLLECTING = re.compile(r"(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)")
    DOWNLOADING = re.compile(r"\s*Downloading \S+?(?<!\.metadata) \((\d[\d.]* [MG]B)\)")

    def __init__(self, environment: Environment, report: Report) -> None:
        self.environment, self.report = environment, report
        self.scratch = environment.folder / ".downloads"  # not the system's temp folder, which is often small
        self.names: list[str] = []  # packages in the order pip meets them
        self.size = ""  # of the package that is arriving
        self.total = 0  # packages to unpack, once pip knows
        self.before = 0  # packages there before unpacking began
        self.started = time.monotonic()
        self.shown = ""

    def run(self) -> None:
        """Install; raises with the reason in words."""
        shutil.rmtree(str(self.scratch), ignore_errors=True)
        self.scratch.mkdir()
        places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.scratch))
        quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--no-color")
        files = [part for file in self.environment.files for part in ("-r", str(paths.PROJECT / file))]
        child = subprocess.Popen(
            [str(self.environment.python), "-m", "pip", "install", *quiet, *files],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **places, "PIP_USER": "0"},
            close_fds=False,
        )
        reader = threading.Thread(target=self.follow, args=(child,), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                reader.join(0.5)
                self.show()
            status = child.wait()
        except BaseException:
            child.terminate()
            child.wait()
            raise
        finally:
            if self.shown and sys.stderr.isatty():
                say("")
            shutil.rmtree(str(self.scratch), ignore_errors=True)
        if status:
            raise self.refusal()
        say(f"Installed in {self.elapsed()} minutes.")

    def follow(self, child: subprocess.Popen[bytes]) -> None:
        """Read what pip prints: all of it goes to the log, what is worth knowing to the line on the screen."""
        with self.environment.log.open("wb") as log:
            for raw in child.stdout or ():
                log.write(raw)
                line = raw.decode("utf-8", "replace")
                collecting, downloading = self.COLLECTING.match(line), self.DOWNLOADING.match(line)
                if collecting and collecting.group(1) not in self.names:
                    self.names.append(collecting.group(1))
                    self.size = ""
                elif downloading:
                    self.size = downloading.group(1)
                elif line.startswith("Installing collected packages:"):
                    self.before = self.packages()
                    self.total = line.count(",") + 1

    def packages(self) -> int:
        """How many packages the environment holds now."""
        return sum(1 for _ in self.environment.site_packages.glob("*.dist-info/RECORD"))

    def show(self) -> None:
        """Say where the installation is: one line that changes on a terminal, few lines in a file."""
        if not self.names:
            return
        if self.total:
            done = max(0, min(self.packages() - self.before, self.total))
            text, detail = f"unpacking {self.total} packages", f"{done} done"
            self.report(done, self.total, "packages unpacked")
        else:
            text = f"package {len(self.names)}: {self.names[-1]}" + (self.size and f", {self.size}")
            sizes = [file.stat().st_size for file in self.scratch.rglob("*.whl") if file.exists()]
            detail = f"{sum(sizes) / 1e6:.0f} MB downloaded"
        if sys.stderr.isatty():
            line = f"\r  {text} ({detail}, {self.elapsed()})"[: shutil.get_terminal_size().columns]
            print(line, end="\033[K", file=sys.stderr, flush=True)
        elif text != self.shown and (self.total or self.size):
            say(f"  {text}")
        self.shown = text

    def elapsed(self) -> str:
        """Minutes and seconds since pip was started."""
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        return f"{minutes}:{seconds:02d}"

    def refusal(self) -> InputError | ResourceError:
        """Why pip failed, from what it printed."""
        text = self.environment.log.read_text(encoding="utf-8", errors="replace")
        if self.NO_SPACE.search(text):
            return ResourceError("The disk became full. Free some space; the next start goes on from here.")
        if self.NO_NETWORK.search(text):
            return InputError(
                "The package index cannot be reached. Check the network; the next start goes on from here."
            )
        for name in self.NOT_FOUND.findall(text):
            return InputError(f"The package index has no {name} of this version for Python {version()}.")
        return InputError(f"Installing failed. What pip said is in {self.environment.log}.")


def beside(name: str) -> Environment:
    """An environment besides the program's own: "llamafactory" or "radeval".

    Raises:
        UsageError: there is none of that name.
    """
    if name not in BESIDE:
        raise UsageError(f"There is no environment '{name}'; there are {' and '.join(BESIDE)}.")
    owner, gigabytes = BESIDE[name]
    place = os.environ.get(PLACE)
    folder = Path(place).expanduser().resolve() if place else paths.PROJECT
    return Environment(folder / f".venv-{name}", (f"requirements-{name}.txt",), gigabytes, owner)


def version() -> str:
    """The running Python's version as an environment depends on it: major.minor."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def say(text: str) -> None:
    """Words for the user go to standard error."""
    print(text, file=sys.stderr, flush=True)

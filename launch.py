"""Interval's door: `python launch.py COMMAND`. Needs Python 3.11 and nothing else.

The first start makes the environment `.venv` beside this file, installs requirements.txt into it and goes on there.
Later starts find it as the requirements want it and go on at once. An interrupted one is taken up where it ended.

Exit status: 0 done, 2 wrong usage, 3 the environment or the input cannot be used, 4 the model cannot be used,
5 not enough memory or disk, 130 cancelled.

Any Python reads this file first, so that an old one can be told what is needed: the syntax stays that of Python 3.6.
"""

import contextlib
import errno
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

if sys.version_info < (3, 11):  # noqa: UP036 - see above
    sys.stderr.write(f"Interval needs Python 3.11 or newer, and this is {sys.version.split()[0]}.\n")
    sys.exit(3)

PROJECT = Path(__file__).resolve().parent
VENV = PROJECT / ".venv"
MARKER = VENV / ".interval-requirements"
GIGABYTES_NEEDED = 3
APP = ("requirements.txt",)
DEVELOPMENT = ("requirements.txt", "requirements-dev.txt")


class Command(NamedTuple):
    """One command: its module, one line of help, and the requirement files it needs."""

    module: str
    help: str
    needs: tuple[str, ...] = APP


COMMANDS = {
    "viewer": Command("app.main", "open the workbench: compare, draft, correct, sign, export"),
    "studio": Command("trainer_ui.main", "open the training studio: data sets, training, evaluation, export"),
    "draft": Command("engine.cli.draft", "draft a report from a current and a prior image, without a screen"),
    "chat": Command("engine.cli.chat", "ask about a current and a prior image, question after question"),
    "data": Command("engine.cli.data", "make, check, split and convert data sets"),
    "train": Command("engine.cli.train", "train a model as a recipe says, or go on with a run"),
    "merge": Command("engine.cli.merge", "merge an adapter into its base, with a certificate"),
    "promote": Command("engine.cli.promote", "make a trained model available in the viewer, or take it back"),
    "evaluate": Command("engine.cli.evaluate", "answer a file of questions with a model"),
    "score": Command("engine.cli.score", "score answers against reference reports"),
    "models": Command("engine.cli.models", "list, inspect, add, download, verify and remove models"),
    "doctor": Command("engine.cli.doctor", "check this machine, the environment and the data folder", ()),
    "bench": Command("engine.cli.bench", "measure how fast this machine drafts, against transformers' own generate"),
    "test": Command("engine.cli.test", "check the code and run all tests", DEVELOPMENT),
}

# What every command and every process it starts inherits: nothing is fetched, nothing is reported to anyone.
ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONUTF8": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


class Refusal(Exception):
    """Why Interval cannot start, in a sentence for the user, with the exit status."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def main(arguments: list[str]) -> int:
    """Go through the door and run a command; returns the exit status."""
    stop = arguments.index("--") if "--" in arguments else len(arguments)
    words = [word for word in arguments[:stop] if word != "--no-venv"]
    in_place = len(words) < stop
    rest = words[1:] + arguments[stop:]
    if not words or words[0] in ("-h", "--help"):
        print(overview(), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    name = words[0]
    if name not in COMMANDS:
        say(f"There is no command '{name}'. 'python launch.py --help' lists all of them.")
        return 2
    os.environ.update(ENVIRONMENT)
    only_help = "-h" in words or "--help" in words
    try:
        python = choose_python(() if only_help else COMMANDS[name].needs, in_place)
    except Refusal as refusal:
        say(str(refusal))
        return refusal.status
    except OSError as error:
        say(f"The environment .venv cannot be made: {error.strerror or error}.")
        return 5 if error.errno == errno.ENOSPC else 3
    except KeyboardInterrupt:
        say("Stopped. The next start goes on where this one ended.")
        return 130
    if python is not None:
        hand_over(python, arguments)
    protect()
    from engine.cli import main as run

    return run([name, *rest], module=COMMANDS[name].module)


def overview() -> str:
    """The text of --help."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {command.help}" for name, command in COMMANDS.items()]
    return (
        "usage: python launch.py [--no-venv] COMMAND [options]\n\n"
        "Interval, a workbench for chest radiographs. Research use only.\n\n" + "\n".join(lines) + "\n\n"
        "'python launch.py COMMAND --help' explains a command. --no-venv uses the Python that runs this file\n"
        "instead of the environment .venv that the first start makes."
    )


# Which interpreter


def choose_python(needs: tuple[str, ...], in_place: bool) -> Path | None:
    """The interpreter to go on with, made and filled where necessary; None for the one that is running.

    A command that needs nothing is content with the environment if there is one, and never makes it.
    """
    inside = VENV.is_dir() and os.path.realpath(sys.prefix) == os.path.realpath(str(VENV))
    if not needs:
        return None if in_place or inside or not complete(APP) else venv_python()
    activated = sys.prefix != sys.base_prefix or os.environ.get("CONDA_PREFIX") == sys.prefix
    if in_place or (activated and not inside):
        from engine.pins import read, unmet

        missing = [f"{pin.name}=={pin.version}" for pin in unmet(pin for file in needs for pin in read(PROJECT / file))]
        if not missing:
            return None
        if in_place:
            names = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise Refusal(3, f"--no-venv: this Python lacks {names}. Install them or leave --no-venv out.")
    if not complete(needs):
        with only_one():
            if not complete(needs):
                install(needs, inside)
    return None if inside else venv_python()


def venv_python() -> Path:
    """Where the environment keeps its interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def digests(needs: tuple[str, ...]) -> dict[str, str]:
    """File name to hash, for the requirement files ``needs``."""
    from engine.pins import digest, read

    return {file: digest(read(PROJECT / file)) for file in needs}


def recorded() -> dict[str, str]:
    """What the marker says was installed: 'python' and each requirement file; empty without an environment."""
    try:
        lines = MARKER.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return dict(line.split(" ", 1) for line in lines if " " in line)


def complete(needs: tuple[str, ...]) -> bool:
    """Whether the environment holds what ``needs`` asks for and its interpreter still is the one it was made with."""
    record = recorded()
    if not venv_python().exists() or any(record.get(file) != value for file, value in digests(needs).items()):
        return False
    return record.get("python") == version() or record.get("python") == venv_version()


def version() -> str:
    """The running Python's version as an environment depends on it: major.minor."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def venv_version() -> str:
    """The same of the environment's interpreter; empty if it does not run, is not one of its own or has no pip."""
    code = "import sys, pip._internal.cli.main; print('%d.%d' % sys.version_info[:2], sys.prefix != sys.base_prefix)"
    try:
        asked = subprocess.run([str(venv_python()), "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.split()[0] if asked.stdout.endswith(" True\n") else ""


def hand_over(python: Path, arguments: list[str]) -> NoReturn:
    """Go on in another interpreter, with the same arguments."""
    command = [str(python), str(PROJECT / "launch.py"), *arguments]
    if os.name == "posix":
        os.execv(command[0], command)
    child = subprocess.Popen(command)
    while True:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C reaches both of us: the child decides what it means
            sys.exit(child.wait())


def protect() -> None:
    """What this process writes is its user's alone, and a crash leaves no image of the memory behind."""
    os.umask(0o077)
    with contextlib.suppress(OSError):
        (PROJECT / "saves").chmod(0o700)  # a clone makes it open to all
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


# Installing


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Two starts at once must not install into one environment: the second waits (where the system has flock)."""
    with Path(__file__).open("rb") as door:
        with contextlib.suppress(ImportError, OSError):  # no flock on this system or this file system
            import fcntl

            try:
                fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another start is installing right now; waiting for it.")
                fcntl.flock(door, fcntl.LOCK_EX)
        os.set_inheritable(door.fileno(), True)  # pip holds the lock too, and outlives a launcher that is killed
        yield


def install(needs: tuple[str, ...], inside: bool) -> None:
    """Make the environment whole: create or repair it, install ``needs``, and mark it complete at the very end."""
    record = recorded()
    MARKER.unlink(missing_ok=True)
    if inside or venv_version() == version():
        say("Bringing the environment .venv up to date.")
    else:
        record = {}
        create()
    for info in site_packages().glob("*.dist-info"):  # pip writes RECORD last: without it, it was cut off in the middle
        if not (info / "RECORD").is_file():
            shutil.rmtree(str(info))
    Pip(needs).run()
    lines = {**record, **digests(needs), "python": version()}
    partial = MARKER.with_name(MARKER.name + ".partial")
    partial.write_text("".join(f"{key} {value}\n" for key, value in sorted(lines.items())), encoding="utf-8")
    partial.replace(MARKER)


def create() -> None:
    """Make an empty environment with pip in it, in place of whatever is there."""
    import venv

    free = shutil.disk_usage(str(PROJECT)).free / 1e9
    if free < GIGABYTES_NEEDED:
        raise Refusal(5, f"Interval needs about {GIGABYTES_NEEDED} GB for its environment, and {free:.1f} GB are free.")
    say("First start: making the environment .venv and installing what Interval needs. This happens once.")
    venv.EnvBuilder(clear=True, symlinks=os.name != "nt").create(str(VENV))
    if subprocess.run([str(venv_python()), "-m", "ensurepip", "--default-pip"], capture_output=True).returncode:
        raise Refusal(3, "This Python comes without pip. On Debian and Ubuntu install the package python3-venv first.")


def site_packages() -> Path:
    """Where the environment keeps its packages."""
    return VENV / ("Lib/site-packages" if os.name == "nt" else f"lib/python{version()}/site-packages")


class Pip:
    """One run of pip into the environment, followed on one line of the terminal."""

    NO_NETWORK = re.compile(
        "NewConnectionError|ConnectTimeout|ReadTimeout|timed out|Connection (refused|reset|aborted|broken)|ProxyError"
        "|NameResolution|Temporary failure in name resolution|Network is unreachable|SSLError|CERTIFICATE_VERIFY_FAILED"
    )
    NO_SPACE = re.compile("No space left on device|Disk quota exceeded|not enough space on the disk")
    NOT_FOUND = re.compile("No matching distribution found for ([A-Za-z0-9._-]+)")
    COLLECTING = re.compile(r"(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)")
    DOWNLOADING = re.compile(r"\s*Downloading \S+?(?<!\.metadata) \((\d[\d.]* [MG]B)\)")

    def __init__(self, needs: tuple[str, ...]) -> None:
        self.needs = needs
        self.scratch = VENV / ".downloads"  # not the system's temp folder, which is often small
        self.log = VENV / "install.log"
        self.names: list[str] = []  # packages in the order pip meets them
        self.size = ""  # of the package that is arriving
        self.total = 0  # packages to unpack, once pip knows
        self.before = 0  # packages there before unpacking began
        self.started = time.monotonic()
        self.shown = ""

    def run(self) -> None:
        """Install; raises Refusal with the reason in words."""
        shutil.rmtree(str(self.scratch), ignore_errors=True)
        self.scratch.mkdir()
        places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.scratch))
        quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--no-color")
        files = [part for file in self.needs for part in ("-r", str(PROJECT / file))]
        child = subprocess.Popen(
            [str(venv_python()), "-m", "pip", "install", *quiet, *files],
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

    def follow(self, child: "subprocess.Popen[bytes]") -> None:
        """Read what pip prints: all of it goes to the log, what is worth knowing to the line on the screen."""
        with self.log.open("wb") as log:
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
        return sum(1 for _ in site_packages().glob("*.dist-info/RECORD"))

    def show(self) -> None:
        """Say where the installation is: one line that changes on a terminal, few lines in a file."""
        if not self.names:
            return
        if self.total:
            text = f"unpacking {self.total} packages"
            detail = f"{max(0, min(self.packages() - self.before, self.total))} done"
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

    def refusal(self) -> Refusal:
        """Why pip failed, from what it printed."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        if self.NO_SPACE.search(text):
            return Refusal(5, "The disk became full. Free some space; the next start goes on from here.")
        if self.NO_NETWORK.search(text):
            return Refusal(
                3, "The package index cannot be reached. Check the network; the next start goes on from here."
            )
        for name in self.NOT_FOUND.findall(text):
            return Refusal(3, f"The package index has no {name} of this version for Python {version()}.")
        return Refusal(3, f"Installing failed. What pip said is in {self.log}.")


def say(text: str) -> None:
    """Words for the user go to standard error."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

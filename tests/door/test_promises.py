"""What the README, the CI script and the changelog promise is what is there."""

from __future__ import annotations

import re
from pathlib import Path

import engine
import launch


def test_the_readme_lists_the_commands_that_exist(project: Path) -> None:
    readme = (project / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \|", readme, flags=re.M)
    assert table == list(launch.COMMANDS)
    mentioned = set(re.findall(r"python launch\.py (\w+)", readme))
    assert mentioned <= set(launch.COMMANDS)
    assert {"viewer", "test"} <= mentioned


def test_every_command_has_its_module(project: Path) -> None:
    for command in launch.COMMANDS.values():
        assert (project / f"{command.module.replace('.', '/')}.py").is_file(), command.module
    modules = {file.stem for file in (project / "engine" / "cli").glob("[!_]*.py")}
    assert modules | {"viewer", "studio"} == set(launch.COMMANDS)


def test_options_of_the_launcher_are_in_the_readme_and_in_its_help(project: Path) -> None:
    readme = (project / "README.md").read_text(encoding="utf-8")
    for text in (readme, launch.overview()):
        assert "--no-venv" in text
    assert "INTERVAL_HOME" in readme


def test_ci_runs_what_the_readme_tells_developers_to_run(project: Path) -> None:
    script = (project / ".ci" / "run").read_text(encoding="utf-8")
    readme = (project / "README.md").read_text(encoding="utf-8")
    run = [line.removeprefix("exec ") for line in script.splitlines() if "launch.py" in line]
    assert run == ["python3 launch.py test", "python3 launch.py test --llamafactory"]
    assert all(line.replace("python3", "python") in readme for line in run)
    assert "set -euo pipefail" in script


def test_the_changelog_knows_this_version(project: Path) -> None:
    assert re.search(rf"^## \[.*{re.escape(engine.__version__)}", (project / "CHANGELOG.md").read_text(), flags=re.M)


def test_the_licence_is_apache(project: Path) -> None:
    text = (project / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")

#!/usr/bin/env python3
"""`tempest new` makes a project that is valid, and overwrites nothing.

    new_project_test.py TEMPEST
"""

import os
import pathlib
import subprocess
import sys
import tempfile

TEMPEST = sys.argv[1]


def tempest(*arguments):
    return subprocess.run([TEMPEST, *arguments], capture_output=True, text=True, timeout=50)


with tempfile.TemporaryDirectory() as folder:
    project = pathlib.Path(folder, "my-first.project")
    made = tempest("new", str(project) + "/")
    assert made.returncode == 0, made
    files = sorted(path.name for path in project.iterdir())
    assert files == ["CMakeLists.txt", "README.md", "Topology.toml", "tasks.cpp"], files
    for path in project.iterdir():
        text = path.read_text()
        assert "@NAME@" not in text and "my_first_project" in text, path

    valid = tempest("validate", str(project / "Topology.toml"))
    assert valid.returncode == 0, valid

    (project / "tasks.cpp").write_text("mine")
    again = tempest("new", str(project))
    assert again.returncode == 74 and "is there already" in again.stderr, again
    assert (project / "tasks.cpp").read_text() == "mine"

    # One file of the user's is enough to leave the folder alone.
    other = pathlib.Path(folder, "other")
    other.mkdir()
    (other / "README.md").write_text("mine")
    refused = tempest("new", str(other))
    assert refused.returncode == 74, refused
    assert [path.name for path in other.iterdir()] == ["README.md"]

    nameless = tempest("new", str(pathlib.Path(folder, "..")) + "/123")
    assert nameless.returncode == 64, nameless

    # Whatever the folder's name, the command that is printed runs the project.
    for number, name in enumerate(("my proj", "it's; echo $HOME", '"a,b"=c', "-dash")):
        place = pathlib.Path(folder, f"place-{number}")
        place.mkdir()
        made = subprocess.run([TEMPEST, "new", "--", name], capture_output=True, text=True,
                              timeout=50, cwd=place)
        assert made.returncode == 0, made
        command = made.stdout.splitlines()[-1].strip()
        assert command.startswith("tempest run "), made
        shell = f'tempest() {{ "$TEMPEST" "$@"; }}\n{command}\n'
        run = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=50,
                             cwd=place, env={**os.environ, "TEMPEST": TEMPEST})
        assert run.returncode == 0 and len(run.stdout.splitlines()) == 10, run

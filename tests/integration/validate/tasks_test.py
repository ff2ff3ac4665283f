#!/usr/bin/env python3
"""`tempest tasks` lists what libraries declare, and what is built in.

    tasks_test.py TEMPEST LIBSPOOL LIBWORDCOUNT
"""

import json
import subprocess
import sys

TEMPEST, SPOOL, WORDCOUNT = sys.argv[1:]


def tasks(*arguments):
    return subprocess.run([TEMPEST, "tasks", *arguments], capture_output=True, text=True,
                          timeout=50, check=False)


listed = tasks(SPOOL, WORDCOUNT, "--output", "json")
assert listed.returncode == 0, listed
parts = {part["name"]: part for part in json.loads(listed.stdout)}
assert set(parts) == {"spool:Folder", "spool:Files", "spool:Triage", "wordcount:Split",
                      "wordcount:Count"}, parts
assert parts["spool:Triage"]["kind"] == "failure handler", parts
wait = [setting for setting in parts["spool:Triage"]["settings"] if setting["name"] == "wait"]
assert wait == [{"name": "wait", "type": "duration", "default": "1m", "required": False,
                 "help": "Before each of these"}], wait
assert parts["wordcount:Split"]["settings"] == [], parts
assert parts["wordcount:Split"]["outputs"] == [], parts

table = tasks(SPOOL)
assert table.returncode == 0, table
assert "spool:Folder (source): The files of a folder, each a message" in table.stdout, table
assert "until_empty  boolean  false" in table.stdout, table

built_in = tasks()
assert built_in.returncode == 0, built_in
for name in ("identity (task)", "fail (task)", "redis_stream (source)", "lines (sink)"):
    assert name in built_in.stdout, (name, built_in.stdout)

missing = tasks("libspol.so")
assert missing.returncode == 78 and "cannot find the task library" in missing.stderr, missing

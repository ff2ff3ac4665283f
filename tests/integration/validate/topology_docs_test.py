#!/usr/bin/env python3
"""The examples of docs/topology.md are valid, and it names every key there is.

    topology_docs_test.py TEMPEST docs/topology.md
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

TEMPEST, DOCUMENT = sys.argv[1:]


def whole_file(example):
    """An example with what it leaves out."""
    if example.startswith("uri"):
        example = '[source]\ntype = "redis_stream"\nkey = "k"\n' + example
    if not example.startswith("name"):
        example = 'name = "example"\n' + example
    if "[source]" not in example:
        example += '\n[source]\ntype = "generator"\n'
    if "[[task]]" not in example:
        example += '\n[[task]]\nname = "a"\nuses = "identity"\n'
    return example


def keys_of(schema):
    keys = set()
    if isinstance(schema, dict):
        keys |= set(schema.get("properties", {}))
        keys |= {schema["const"]} if "const" in schema else set()
    for inner in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(inner, (dict, list)):
            keys |= keys_of(inner)
    return keys


text = pathlib.Path(DOCUMENT).read_text(encoding="utf-8")
examples = re.findall(r"^```toml\n(.*?)^```", text, re.S | re.M)
assert len(examples) > 4, examples
faults = []
with tempfile.TemporaryDirectory() as folder:
    for number, example in enumerate(examples, 1):
        file = pathlib.Path(folder, f"example-{number}.toml")
        file.write_text(whole_file(example), encoding="utf-8")
        # graph reads a file as validate does, but does without its libraries.
        drawn = subprocess.run([TEMPEST, "graph", str(file)], capture_output=True, text=True,
                               timeout=50)
        if drawn.returncode != 0:
            faults.append(drawn.stderr)

schema = subprocess.run([TEMPEST, "schema"], capture_output=True, text=True, timeout=50, check=True)
for key in sorted(keys_of(json.loads(schema.stdout))):
    if not re.search(rf'`[^`]*\b{key}\b[^`]*`', text):
        faults.append(f"{DOCUMENT} does not name '{key}'\n")

sys.stdout.writelines(faults)
sys.exit(1 if faults else 0)

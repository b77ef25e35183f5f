#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Has gcc's analyzer read a file, compiled as a build folder does, and keeps nothing:

    analyze.py BUILD_FOLDER OPTION... FILE.c

It leaves out the checks that analyzer.supp names for the file.
"""
import json
import os
import shlex
import subprocess
import sys

folder, *options, path = sys.argv[1:]
with open(os.path.join(os.path.dirname(__file__), "analyzer.supp"), encoding="utf-8") as lines:
    pairs = [line.split() for line in lines if line.strip() and not line.startswith("#")]
options += [f"-Wno-{check}" for check, file in pairs if file == path]
with open(os.path.join(folder, "compile_commands.json"), encoding="utf-8") as commands:
    entry = next(entry for entry in json.load(commands)
                 if os.path.realpath(os.path.join(entry["directory"], entry["file"])) == os.path.realpath(path))
command = shlex.split(entry["command"])
command[command.index("-o") + 1] = os.devnull
# The file of dependencies would tell ninja that it has been built.
command = [word for word in command if not word.startswith(("-MD", "-MQ", "-MF", "-O", "-D_FORTIFY_SOURCE"))
           and not word.endswith((".o", ".o.d"))]
sys.exit(subprocess.run([*command, "-fanalyzer", *options], cwd=entry["directory"], check=False).returncode)

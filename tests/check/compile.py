#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles a file as a build folder does, with more options, and keeps nothing:

    compile.py BUILD_FOLDER OPTION... FILE.c
"""
import json
import os
import shlex
import subprocess
import sys

folder, *options, path = sys.argv[1:]
with open(os.path.join(folder, "compile_commands.json"), encoding="utf-8") as commands:
    entry = next(entry for entry in json.load(commands)
                 if os.path.realpath(os.path.join(entry["directory"], entry["file"])) == os.path.realpath(path))
command = shlex.split(entry["command"])
command[command.index("-o") + 1] = os.devnull
# The file of dependencies would tell ninja that it has been built.
command = [word for word in command if not word.startswith(("-MD", "-MQ", "-MF", "-O", "-D_FORTIFY_SOURCE"))
           and not word.endswith((".o", ".o.d"))]
sys.exit(subprocess.run([*command, *options], cwd=entry["directory"], check=False).returncode)

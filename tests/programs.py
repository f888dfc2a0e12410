#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""programs.py - which programs the scripts and tests run, and whether tests/deps.sh installs them

  programs.py                 lists them by their packages; ends with 1 when there is one that no package provides which
                              deps.sh names for its users, or one that its users do not look for before they begin
  programs.py KIND... < FILE  the same of one script for the shell, as if it were among the network tests

shfmt parses the shell, so that every command is seen, in "$(...)" too. What functions and programs such as `timeout` run
for their callers is followed: for our functions this is found out, for programs it is in RUNNERS. A command in a variable
must be in VARIABLES; so nothing is passed over in silence.
"""
import ast
import functools
import glob
import json
import os
import re
import subprocess
import sys

# Files, the kinds of packages that they may rely on, and the script that looks for the programs before it begins.
USERS = (
    ("tests/netns/*.sh tests/netns/*.py deploy/gateway/*.sh", "build check", "tests/netns/run.sh"),
    ("tests/unit.sh tests/sanitized.sh tests/coverage.sh tests/preflight.sh tests/**/*.[ch]", "build check", None),
    ("tests/k8s/*.sh tests/k8s/*.py", "build image k8s", "tests/k8s/run.sh"),
    ("tests/demo.sh", "build demo", "tests/demo.sh"),
    ("tests/lint.sh tests/programs.py tests/rooms.sh", "build check lint", None),
    ("tests/fresh.sh", "fresh", None),
    ("tests/versions.sh", "build check fresh", None),
    ("tests/kernels.sh tests/unpacked.sh", "build check kernels", None),
    ("tests/foreign.sh", "build check foreign", None),
    ("deploy/*.sh", "build image", None),
    ("bench/*.py", "build bench", None),
    (".ci/run", "build fresh", None),
    ("tests/checks.sh tests/deps.sh tests/rooted.sh", "", None),
)
# Programs that run another: their options that have a value, and how many words come before the command.
RUNNERS = {
    "chroot": ("", 1), "env": ("-C -u", 0), "exec": ("", 0), "nsenter": ("-t", 0), "setpriv": ("", 0), "setsid": ("", 0),
    "sudo": ("", 0), "timeout": ("-k -s", 1), "unshare": ("--propagation", 0), "xargs": ("-n -P -I -L", 0),
}
BUILTINS = set("""- alias bg break cd command continue declare echo eval exec exit export false getopts hash kill let local mapfile
    printf pwd read readonly return set shift shopt source test trap true type ulimit umask unset wait : . [""".split())
# Commands in variables: the program, "" when the command is the next word, None when it is our own or not this machine's.
VARIABLES = {
    "$PYTHON": "python3", "$KUBECTL": None, "$CNI": None, "${far[@]}": None, "${sudo[@]}": "", "$SUDO": "", "${WITH[@]}": "", "$G": "", "$EXEC": "", "$LIMIT": "", "$SH": None,
    "$file": None, "$program": None, "$loader": None, "$0": None, "$1": None, "$command": None, "${settings[@]}": "", "${UNDER[@]}": "", "${environment[@]}": "",
    "$USER_MODE": "qemu-aarch64-static", "${MACHINE[@]}": "qemu-system-aarch64",
}
OWN = re.compile(r"(\$(BUILD|HERE|SOURCE|BED|ROOT|root)|\$\(\.\.\.\)|\.|tests|bench|deploy)/|podswitch")
BEDS = {"ctr"}  # what a test bed brings along
UNSEEN = {"tests/k8s/run.sh": "xz",  # tar runs it, for the archive of a test bed
          "tests/k8s/image.sh": "busybox"}  # and those in its PROGRAMS, which it copies
# The names by which deps.sh has what is in these packages.
NAMES = {"python3-minimal": "python3", "busybox": "busybox-static", "gawk": "mawk"}
# Of programs that need not be installed where this runs. None: only used where somebody has installed it.
ELSEWHERE = {"gnuplot": "gnuplot-nox", "git": "git", "mmdebstrap": "mmdebstrap", "tcpdump": "tcpdump", "xtables-nft-multi": "iptables",
             "xz": "xz-utils", "cpio": "cpio", "qemu-aarch64-static": "qemu-user-static", "qemu-system-aarch64": "qemu-system-arm",
             "sudo": None, "ovsdb-server": None, "ovs-vswitchd": None}
PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")

# ---- the shell ------------------------------------------------------------------------------------------------------


def text_of(word):
    """A word without its quotes, with parameters by their names."""
    return "".join(part_of(part) for part in (word or {}).get("Parts", ()))


def part_of(part):
    kind = part["Type"]
    if kind == "DblQuoted":
        return text_of(part)
    if kind != "ParamExp":
        return part.get("Value", "") if kind in ("Lit", "SglQuoted") else "$(...)"
    name = part["Param"]["Value"]
    if "Slice" in part:
        return "${%s:%s}" % (name, text_of(part["Slice"].get("Offset")))
    return "${%s[@]}" % name if "Index" in part else "$" + name


def children(node):
    return node if isinstance(node, list) else node.values() if isinstance(node, dict) else ()


class Script:
    """`calls` are (function it is in, its words); `functions` are name -> words before a command that it is given, or None."""

    def __init__(self, text):
        # The positions, which are most of it, are left out.
        done = subprocess.run(["shfmt", "-ln", "bash", "--to-json"], input=text, text=True, capture_output=True, check=True)
        self.calls, self.scripts, self.functions, self.shifted = [], [], {}, {None: 0}
        self.collect(json.loads(done.stdout, object_hook=lambda node: None if "Line" in node else node), None)

    def collect(self, node, function):
        kind = node.get("Type") if isinstance(node, dict) else None
        if kind == "FuncDecl":
            function = node["Name"]["Value"]
            self.functions[function] = None
            self.shifted[function] = 0
        elif kind == "CallExpr" and node.get("Args"):
            words = [text_of(word) for word in node["Args"]]
            self.calls.append((function, words))
            if words[0] == "shift" and function:
                self.shifted[function] += int((words[1:] or ["1"])[0])
        elif isinstance(node, dict) and node.get("Hdoc") and text_of(node["Hdoc"]).lstrip().startswith("#!"):
            self.scripts.append(text_of(node["Hdoc"]))
        for child in children(node):
            self.collect(child, function)


read = functools.cache(Script)


class Search:
    """For the programs that a script runs, with the functions of its libraries."""

    def __init__(self, text, functions=()):
        self.script = read(text)
        self.functions = dict(functions, **self.script.functions)
        self.found, self.unknown, known = set(), set(), None
        while known != self.functions:  # one function may hand its arguments on to another
            known = dict(self.functions)
            for function, words in self.script.calls:
                self.command(words, 0, function)
        for text in self.script.scripts:
            self.inner(text)

    def arguments(self, word, function):
        """How many arguments of the function come before this word, if it stands for all that follow."""
        found = re.fullmatch(r"\$@|\$\{@:(\d+)\}", word)
        return int(found[1] or 1) - 1 + self.script.shifted[function] if found else None

    def command(self, words, skip, function):
        """The words of a call, whose command comes after `skip` others."""
        for at, word in enumerate(words[:skip + 1]):
            before = self.arguments(word, function)
            if before is not None:
                if function:
                    self.functions[function] = before + skip - at
                return
        if len(words) > skip:
            self.head(words[skip], words[skip + 1:], function)

    def head(self, head, rest, function):
        if head in self.functions:
            if self.functions[head] is not None:
                self.command(rest, self.functions[head], function)
        elif head in RUNNERS:
            self.add(head)
            self.command(after_options(head, rest), RUNNERS[head][1], function)
        elif re.fullmatch(r"\$[1-9]", head) and function:
            self.functions[function] = int(head[1]) - 1
        elif head.startswith("$") and not OWN.match(head):
            self.variable(head, rest, function)
        else:
            self.add(head)
            self.special(head, rest, function)

    def variable(self, head, rest, function):
        if head not in VARIABLES:
            self.unknown.add(head)
        elif VARIABLES[head] == "":
            self.command(rest, 0, function)
        elif VARIABLES[head]:
            self.add(VARIABLES[head])

    def special(self, head, rest, function):
        """What has a command elsewhere among its words."""
        if head == "ip" and "netns" in rest and "exec" in rest:
            self.command(rest, rest.index("exec") + 2, function)
        elif head == "find" and "-exec" in rest:
            self.command(rest, rest.index("-exec") + 1, function)
        elif head in ("sh", "bash"):
            for at, word in enumerate(rest[:-1]):
                if re.fullmatch(r"-[a-z]*c", word):
                    self.inner(rest[at + 1])
        elif head in ("eval", "trap") and rest and not rest[0].startswith("$"):
            self.inner(rest[0])

    def inner(self, text):
        search = Search(text, self.functions)
        self.found |= search.found
        self.unknown |= search.unknown

    def add(self, word):
        if word and word not in BUILTINS | BEDS and not OWN.match(word):
            self.found.add(os.path.basename(word))


def after_options(head, words):
    valued = RUNNERS[head][0].split()
    while words and (words[0].startswith("-") or re.match(r"\w+=", words[0])):
        words = words[2:] if words[0] in valued else words[1:]
    return words


def contents(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def libraries(folder):
    """The functions of what the scripts of a folder include."""
    functions = {}
    for path in "tests/checks.sh", f"{folder}/lib.sh", f"{folder}/run.sh":
        if os.path.exists(path):
            functions = Search(contents(path), functions).functions
    return functions


def of_shell(path):
    text = contents(path)
    search = Search(text, libraries(os.path.dirname(path)))
    unseen = [UNSEEN.get(path, "")] + re.findall(r"^PROGRAMS=\((.*)\)$", text, re.M)
    return search.found | set(" ".join(unseen).split()), search.unknown


# ---- Python and C ---------------------------------------------------------------------------------------------------


def of_python(path):
    """What begins a list or the words that run, start or Popen are called with."""
    found = {"python3"}
    for call in ast.walk(ast.parse(contents(path))):
        if isinstance(call, ast.Call) and call.args and getattr(call.func, "attr", "") in ("run", "start", "Popen", "system", "popen"):
            first = call.args[0].elts[0] if isinstance(call.args[0], ast.List) else call.args[0]
            if isinstance(first, ast.Starred):  # git and its options
                first = ast.Constant(first.value.id)
            if isinstance(first, ast.Constant):
                found.add(first.value.split()[0])
    return found, set()


STRING = r'"(?:[^"\\]|\\.)*"'
# Which argument of these functions is a command.
SHELLS = {"system": 0, "popen": 0, "shell": 0, "must": 0, "assert_shows": 0, "shell_status": 1, "execlp": 0}


def arguments_of(text):
    """The arguments of a call, from behind its bracket on."""
    depth, words = 0, [""]
    for token in re.findall(STRING + r"|\w+|\S", text):
        if token == ")" and not depth:
            break
        depth += (token == "(") - (token == ")")
        if token == "," and not depth:
            words.append("")
        else:
            words[-1] += " " + token
    return words


def strings_of(text):
    """What the names of macros and constants stand for."""
    constants = re.findall(r"\bchar (\w+)\[\] =((?:%s|[^;\"])*);" % STRING, text)
    return dict(re.findall(r"^#define (\w+)[ \t]+(.*)$", text, re.M) + constants)


def expanded(tokens, names):
    """The string that they make; a name of something else is left out."""
    parts = re.findall(STRING + r"|\w+", tokens)
    return "".join(part[1:-1] if part[0] == '"' else expanded(names.get(part, ""), {**names, part: ""}) for part in parts)


def of_c(path):
    """What the functions in SHELLS are given."""
    text, found, unknown = contents(path).replace("\\\n", " "), set(), set()
    names = strings_of(text)
    for call in re.finditer(r"\b(%s)\(" % "|".join(SHELLS), text):
        command = (arguments_of(text[call.end():]) + [""])[SHELLS[call[1]]]
        command = expanded(command, names).encode().decode("unicode_escape")
        try:
            found |= {command} if call[1] == "execlp" else Search(command).found
        except subprocess.CalledProcessError:
            unknown.add(command)
    return found - {""}, unknown


def programs(path):
    return {".py": of_python, ".c": of_c, ".h": of_c}.get(os.path.splitext(path)[1], of_shell)(path)


# ---- packages -------------------------------------------------------------------------------------------------------


@functools.cache
def named():
    """What deps.sh installs: kind -> packages."""
    return {kind: set(packages.split()) for kind, packages in
            re.findall(r"^\t(\w+)\) wanted\+=\((.*)\) ;;$", contents("tests/deps.sh"), re.M)}


@functools.cache
def base():
    """The packages of the smallest Debian."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Essential} ${Priority}\n"], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {"apt"} | {line[0] for line in lines if line[1] == "yes" or line[-1] == "required"}


@functools.cache
def packaged():
    """What dpkg has in the folders of PATH: path -> package."""
    patterns = [f"{folder}/*" for folder in PATH]
    lines = subprocess.run(["dpkg-query", "-S", *patterns], capture_output=True, text=True).stdout.splitlines()
    return {path: package.split(":")[0] for package, _, path in (line.partition(": ") for line in lines)
            if os.path.dirname(path) in PATH and not package.startswith("diversion")}


def owner(program):
    """The package that a program is from."""
    if program in ELSEWHERE:
        return ELSEWHERE[program]
    found = [path for folder in PATH if os.path.exists(path := f"{folder}/{program}")]
    for path in found + [os.path.realpath(path) for path in found]:  # the second is behind an alternative
        if package := packaged().get(path):
            return NAMES.get(package, package)
    return "?"


def judge(path, kinds, found, unknown):
    """What is wrong with the programs of a file."""
    for variable in sorted(unknown):
        yield f"{path}: nobody can tell what {variable} runs: see VARIABLES in tests/programs.py"
    allowed = set().union({None}, base(), *(named()[kind] for kind in kinds))
    for program in sorted(found):
        if owner(program) not in allowed:
            yield f"{path} runs {program}, of the package {owner(program)}: tests/deps.sh does not name it for {' '.join(kinds) or 'all'}"


def unasked(script, found):
    """The programs that a script should look for before it begins, and does not."""
    asked = " ".join(re.findall(r"^\s*for tool in ([^;]*); do$", contents(script), re.M)).split()
    wanted = {program for program in found if owner(program) not in base() | {None}}
    for program in sorted(wanted - {os.path.basename(tool) for tool in asked}):
        yield f"{script} does not look for {program}, which is run later"


def everything():
    packages, troubles, seen = {}, [], set()
    for patterns, kinds, asks in USERS:
        group = set()
        for path in sorted(path for pattern in patterns.split() for path in glob.glob(pattern, recursive=True)):
            found, unknown = programs(path)
            group |= found
            seen.add(path)
            troubles += judge(path, kinds.split(), found, unknown)
        troubles += unasked(asks, group) if asks else ()
        for program in group:
            packages.setdefault(owner(program) or "(if it is there)", set()).add(program)
    scripts = {path for ending in ("sh", "py") for path in glob.glob("**/*." + ending, recursive=True) if not path.startswith("build/")}
    return packages, troubles + [f"{path}: USERS in tests/programs.py does not say what it may rely on" for path in sorted(scripts - seen)]


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if sys.argv[1:]:
        search = Search(sys.stdin.read(), libraries("tests/netns"))
        troubles = list(judge("standard input", sys.argv[1:], search.found, search.unknown))
    else:
        packages, troubles = everything()
        for package, names in sorted(packages.items()):
            print(f"  {package}: {' '.join(sorted(names))}")
    for trouble in troubles:
        print(trouble)
    sys.exit(bool(troubles))


if __name__ == "__main__":
    main()

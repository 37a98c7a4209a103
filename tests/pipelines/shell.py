"""``commands``: the verl command lines of a shell script, with its variables filled in. Nothing is run.

Every branch is taken, in the order of the lines; what only a shell could tell, such as ``$(nproc)``, ends the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

ASSIGNMENT = re.compile(r"(\w+)(\+?=)(.*)", re.DOTALL)
LAUNCH = re.compile(r"(.*/)?python[\d.]*")
ENDS = {"|", "||", "&&", "&", ";", ">", ">>", "2>&1", "<", "|&", "&>", "2>", ")", "}"}
BUILT_IN = {"export", "local", "declare", "readonly", "set", "-x", "-xeu", "if", "then", "else", "do", ":", "{", "("}
GIVEN = {"HOME": "/home/me", "USER": "me", "PWD": "/home/me", "@": "", "*": "", "RANDOM": "1"}
NUMBERS = re.compile(r"NODES?|NUM|GPUS?|SIZE|WORLD|RANK|NPROC|SEED", re.IGNORECASE)
PATHS = re.compile(r"PATH|DIR|FILE|NAME|MODEL|ROOT|EXP|PROJECT|DATA|URL|ID|LOG|TRAIN|TEST|VAL", re.IGNORECASE)


class UntoldError(ValueError):
    """Only the shell, or the script's owner, knows this value."""


@dataclass
class Script:
    """What a script has assigned so far."""

    variables: dict[str, list[str]] = field(default_factory=dict)

    def value(self, name: str) -> list[str]:
        if name in self.variables:
            return self.variables[name]
        if name in GIVEN:
            return [GIVEN[name]] if GIVEN[name] else []
        if NUMBERS.search(name) or name.isdigit():
            return ["1"]
        if PATHS.search(name):
            return [name.lower()]
        raise UntoldError(name)

    def expand(self, expression: str) -> list[str]:
        """The words of ``${expression}``."""
        match = re.fullmatch(r"(\w+|@|\*)(\[[@*\d]+\])?(?::?([-=+?#%])(.*))?", expression, re.DOTALL)
        if match is None:
            raise UntoldError(expression)
        name, _, operator, default = match.groups()
        known = name in self.variables and any(self.variables[name])
        if operator == "+":
            return self.words(default) if known else []
        if operator and operator in "-=" and not known:
            self.variables[name] = self.words(default) or [""]
        return self.value(name)

    def words(self, text: str) -> list[str]:
        """The words of a line, as a shell splits them."""
        found: list[str] = []
        word: str | None = None
        quoted, at = False, 0
        while at < len(text):
            char = text[at]
            if char == "\\" and at + 1 < len(text):
                keeps = quoted and text[at + 1] not in '"$`\\\n'
                word, at = (word or "") + (char if keeps else "") + text[at + 1], at + 2
            elif char == "'" and not quoted:
                end = text.index("'", at + 1)
                word, at = (word or "") + text[at + 1 : end], end + 1
            elif char == '"':
                word, quoted, at = word or "", not quoted, at + 1
            elif char == "$" and (match := re.compile(r"\$(?:\{|\(\(|(\w+|@|\*))").match(text, at)):
                values, at = self._substituted(text, match)
                if not quoted and word is None:
                    values = [part for value in values for part in value.split()]
                if values:
                    found += [(word or "") + values[0], *values[1:-1]] if len(values) > 1 else []
                    word = values[-1] if len(values) > 1 else (word or "") + values[0]
            elif char in "$`" and text[at : at + 2] != "$" and (char == "`" or text[at : at + 2] == "$("):
                raise UntoldError(text[at:])
            elif char == "#" and word is None and not quoted:
                at += len(text[at:].partition("\n")[0])
            elif char.isspace() and not quoted:
                found, word, at = ([*found, word] if word is not None else found), None, at + 1
            else:
                word, at = (word or "") + char, at + 1
        return found if word is None else [*found, word]

    def _substituted(self, text: str, match: re.Match) -> tuple[list[str], int]:
        if match[1]:
            return self.value(match[1]), match.end()
        arithmetic = match[0].endswith("((")
        opening, closing, depth = ("(", ")", 2) if arithmetic else ("{", "}", 1)
        for at in range(match.end(), len(text)):
            depth += (text[at] == opening) - (text[at] == closing)
            if not depth:
                inside = text[match.end() : at - arithmetic]
                return [self._number(inside)] if arithmetic else self.expand(inside), at + 1
        raise UntoldError(text)

    def _number(self, expression: str) -> str:
        filled = re.sub(r"\$?\{?([A-Za-z_]\w*)\}?", lambda name: " ".join(self.value(name[1])), expression)
        if not re.fullmatch(r"[\d\s+*/()%-]+", filled):
            raise UntoldError(expression)
        try:
            return str(int(eval(filled.replace("/", "//"))))  # digits and signs alone
        except (SyntaxError, ArithmeticError):
            raise UntoldError(expression) from None

    def run(self, line: str) -> list[str] | None:
        """Take in a line's assignments; the words of a command that starts Python, if it is one."""
        if array := re.fullmatch(r"\s*(?:local |declare -a )?(\w+)(\+?)=\((.*)\)\s*(#.*)?", line, re.DOTALL):
            before = self.variables.get(array[1], []) if array[2] else []
            self.variables[array[1]] = [*before, *self.words(array[3])]
            return None
        words = self.words(line)
        while words and words[0] in BUILT_IN:
            del words[0]
        while words and (match := ASSIGNMENT.fullmatch(words[0])):
            before = "".join(self.variables.get(match[1], [])) if match[2] == "+=" else ""
            self.variables[match[1]] = [before + match[3].rstrip(";")]
            del words[0]
        start = next((at for at, word in enumerate(words) if LAUNCH.fullmatch(word)), None)
        if start is None:
            return None
        end = next((at for at in range(start, len(words)) if words[at] in ENDS), len(words))
        return words[start:end]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command that starts Python, from ``python`` on."""
    script = Script()
    for line in _lines(text):
        try:
            words = script.run(line)
        except (UntoldError, ValueError):
            if match := re.match(r"\s*(?:export )?(\w+)=", line):
                script.variables.pop(match[1], None)
            continue
        if words:
            yield words


def _lines(text: str) -> Iterator[str]:
    """Lines with what continues them: after a backslash, within quotes or the parentheses of an array."""
    whole = ""
    for line in text.splitlines():
        if not whole and line.lstrip().startswith("#"):
            continue
        whole += line
        if line.endswith("\\"):
            whole = whole[:-1] + " "
        elif (
            re.match(r"\s*(?:local |declare -a )?\w+\+?=\(", whole) and not re.search(r"\)\s*(#.*)?$", line)
        ) or re.sub(r"\\.|'[^'\"]*'", "", whole).count('"') % 2:
            whole += "\n"
        else:
            yield whole
            whole = ""
    if whole:
        yield whole

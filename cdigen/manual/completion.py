"""Completion for bash, zsh and fish: scripts that know every verb and option, and run no program for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cdigen.manual.verbs import OptionText, VerbText


def render_bash(verbs: Sequence[VerbText]) -> str:
    """Return a script for bash, which completes files by itself where nothing else is known."""
    cases = []
    summary = " ".join(verb.name for verb in verbs)
    for verb in verbs:
        values = "".join(
            f"        {'|'.join(option.names)}) words={_quoted(' '.join(option.words))} ;;\n"
            for option in verb.options
            if option.words
        )
        free = "|".join(name for option in verb.options if option.value and not option.words for name in option.names)
        names = " ".join(name for option in verb.options for name in option.names if name.startswith("--"))
        names = f"{summary} {names}" if verb.name == "help" else names
        cases.append(
            f"    {verb.name})\n"
            f"      words={_quoted(names)}\n"
            f'      case "$previous" in\n{values}'
            f"{f'        {free}) words= ;;{_NEWLINE}' if free else ''}"
            "      esac\n      ;;\n"
        )
    return (
        "# Completion of cdigen for bash. Written by `cdigen help --completion bash`.\n"
        "_cdigen() {\n"
        "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} words\n"
        f'  if [ "$COMP_CWORD" -eq 1 ]; then\n    words={_quoted(f"{summary} --help --version")}\n  else\n'
        '    case "$verb" in\n' + "".join(cases) + "    esac\n  fi\n"
        '  COMPREPLY=($(compgen -W "$words" -- "$current"))\n'
        "}\n"
        "complete -o default -F _cdigen cdigen\n"
    )


def render_zsh(verbs: Sequence[VerbText]) -> str:
    """Return a function for zsh."""
    listed = "".join(f"    {_quoted(f'{verb.name}:{verb.summary}')}\n" for verb in verbs)
    cases = "".join(
        f"    {verb.name})\n      _arguments -s "
        + " ".join(_quoted(_zsh_option(name, option)) for option in verb.options for name in option.names)
        + (" '*:file:_files'" if verb.takes_file else "")
        + "\n      ;;\n"
        for verb in verbs
    )
    return (
        "#compdef cdigen\n# Written by `cdigen help --completion zsh`.\n"
        "_cdigen() {\n  local -a verbs\n"
        f"  verbs=(\n{listed}  )\n"
        "  if (( CURRENT == 2 )); then\n    _describe command verbs\n    return\n  fi\n"
        "  local verb=$words[2]\n  shift words\n  (( CURRENT-- ))\n"
        f"  case $verb in\n{cases}  esac\n}}\n"
        '_cdigen "$@"\n'
    )


def render_fish(verbs: Sequence[VerbText]) -> str:
    """Return commands for fish."""
    lines = ["# Completion of cdigen for fish. Written by `cdigen help --completion fish`."]
    names = " ".join(verb.name for verb in verbs)
    first = _quoted(f"not __fish_seen_subcommand_from {names}")
    lines += [f"complete -c cdigen -f -n {first} -a {verb.name} -d {_quoted(verb.summary)}" for verb in verbs]
    for verb in verbs:
        condition = _quoted(f"__fish_seen_subcommand_from {verb.name}")
        for option in verb.options:
            words = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            value = f" -x -a {_quoted(' '.join(option.words))}" if option.words else " -r" if option.value else ""
            lines.append(f"complete -c cdigen -n {condition} {words}{value} -d {_quoted(_short(option.text))}")
    return "\n".join(lines) + "\n"


SHELLS: dict[str, Callable[[Sequence[VerbText]], str]] = {"bash": render_bash, "zsh": render_zsh, "fish": render_fish}
"""By the words of `cdigen help --completion`."""

_NEWLINE = "\n"
_MAX_TEXT = 80


def _zsh_option(name: str, option: OptionText) -> str:
    text = "".join(f"\\{c}" if c in "[]:\\" else c for c in _short(option.text))
    if not option.value:
        return f"{name}[{text}]"
    if option.words:
        return f"{name}=[{text}]:value:({' '.join(option.words)})"
    return f"{name}=[{text}]:value:{'_files' if option.is_path else ' '}"


def _short(text: str) -> str:
    first = text.split(". ")[0].split("  [")[0]
    return first if len(first) <= _MAX_TEXT else f"{first[: _MAX_TEXT - 3]}..."


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"

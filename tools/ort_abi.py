"""Make ONNX Runtime's function table, for C and for Cython, from ``tools/ort_api.txt``.

``python tools/ort_abi.py`` writes ``include/ortmmap/ort_abi.h`` and ``ortmmap/abi/ort.pxd``; with
``--check`` it exits with 1 if a file differs from what it would write.
"""

import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from c_declarations import DeclarationError, Declarations, Signature, parse

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tools" / "ort_api.txt"
TYPES = ROOT / "include" / "ortmmap" / "ort_types.h"
HEADER = ROOT / "include" / "ortmmap" / "ort_abi.h"
PXD = ROOT / "ortmmap" / "abi" / "ort.pxd"

LINE = re.compile(r"(\d+)\s+((?:const )?\w+ \**)(\w+)\(([^()]+)\)")
WIDTH = 100
C_WORDS = {"ORTCHAR_T", "bool", "char", "const", "enum", "int", "int32_t", "int64_t", "size_t"}
C_WORDS |= {"uint32_t", "uint64_t", "void"}

HEADER_TEXT = """\
/* Made by tools/ort_abi.py from tools/ort_api.txt.
 *
 * The part of ONNX Runtime's function table that ortmmap calls. A program that uses the official
 * header includes it first; its declarations then replace these. */
/* clang-format off */
#ifndef ORTMMAP_ORT_ABI_H
#define ORTMMAP_ORT_ABI_H

#include "ort_types.h"

#include <string.h>

#define ORTMMAP_ORT_API_VERSION {version}

#ifdef ORT_API_VERSION

#if ORT_API_VERSION < ORTMMAP_ORT_API_VERSION
#error "ortmmap needs the header of ONNX Runtime 1.{version} or newer"
#endif

#else

/* ONNX Runtime appends to the table and changes nothing before its end, so this declaration stops
 * after the last function that is called. unused_N stands for the slots from N on. */
struct OrtApi {{
{slots}
}};

#endif /* ORT_API_VERSION */

/* Functions of later API versions; NULL if the library lacks them. The layout is ortmmap's own. */
typedef struct ortmmap_newer_api {{
{newer}
}} ortmmap_newer_api;

/* `version` is the API version of the library: 24 for ONNX Runtime 1.24. GetApi prints a complaint
 * if it is asked for a later one. */
static inline void ortmmap_newer_api_load(const OrtApiBase *base, long version,
                                          ortmmap_newer_api *newer) {{
  const char *table;
  memset(newer, 0, sizeof *newer);
{loads}
}}

#endif /* ORTMMAP_ORT_ABI_H */
"""

PXD_TEXT = '''\
"""ONNX Runtime's C API. Made by tools/ort_abi.py from tools/ort_api.txt and ort_types.h."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from "ortmmap/ort_abi.h" nogil:
    enum:
        ORTMMAP_ORT_API_VERSION

    ctypedef char ORTCHAR_T

{declarations}

    void ortmmap_newer_api_load(const OrtApiBase *base, long version, ortmmap_newer_api *newer)
'''


class TableError(Exception):
    """A line of the table is malformed or contradicts another."""


@dataclass(frozen=True)
class Function:
    """A function of ONNX Runtime: a line of the table."""

    version: int
    slot: int
    name: str
    signature: Signature

    def member(self) -> str:
        """Return the member of a struct in C."""
        return f"  {self.signature.declare(f'(ORT_API_CALL *{self.name})')};"


def read_table(text: str, types: set[str]) -> list[Function]:
    """Return the functions of the table.

    Raises
    ------
    TableError
        If a line is malformed, slots or versions do not ascend, a name occurs twice, or a type is
        neither C's nor one of `types`.
    """
    functions: list[Function] = []
    version = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            if match := re.fullmatch(r"version (\d+)", line):
                version = _ascending("version", int(match[1]), version)
            else:
                functions.append(_read_function(line, version, functions, types))
        except TableError as error:
            raise TableError(f"{TABLE.name}, line {number}: {error}") from None
    return functions


def _read_function(line: str, version: int, before: list[Function], types: set[str]) -> Function:
    match = LINE.fullmatch(line.strip())
    if match is None:
        raise TableError("expected SLOT RESULT NAME(ARGUMENTS)")
    if not version:
        raise TableError("no version comes before it")
    slot, result, name, arguments = int(match[1]), match[2].strip(), match[3], match[4]
    _ascending("slot", slot, before[-1].slot if before else -1)
    if name in {function.name for function in before}:
        raise TableError(f"{name} occurs twice")
    unknown = _type_words(result, arguments) - types - C_WORDS
    if unknown:
        raise TableError(f"{TYPES.name} does not declare {', '.join(sorted(unknown))}")
    return Function(version, slot, name, Signature(result, arguments))


def _ascending(name: str, value: int, before: int) -> int:
    if value <= before:
        raise TableError(f"{name} {value} does not come after {before}")
    return value


def _type_words(result: str, arguments: str) -> set[str]:
    """Return the words of a signature that are not names of arguments."""
    if arguments == "void":
        return set(re.findall(r"\w+", result))
    unnamed = [re.sub(r"\w+$", "", part) for part in arguments.split(",")]
    return set(re.findall(r"\w+", " ".join([result, *unnamed])))


def header(functions: list[Function]) -> str:
    """Return the text of ``ort_abi.h``."""
    least, newer = split(functions)
    return HEADER_TEXT.format(
        version=least[0].version,
        slots="\n".join(_slots(least)),
        newer="\n".join(function.member() for function in newer),
        loads="\n".join(_loads(newer)),
    )


def split(functions: list[Function]) -> tuple[list[Function], list[Function]]:
    """Return the functions that every supported library has, and those of later versions."""
    least = [function for function in functions if function.version == functions[0].version]
    return least, functions[len(least) :]


def _slots(functions: list[Function]) -> Iterator[str]:
    slot = 0
    for function in functions:
        if function.slot > slot:
            yield f"  void *unused_{slot}[{function.slot - slot}];"
        yield function.member()
        slot = function.slot + 1


def _loads(functions: list[Function]) -> Iterator[str]:
    for version, group in groupby(functions, lambda function: function.version):
        yield f"  table = version < {version} ? NULL : (const char *)base->GetApi({version});"
        yield "  if (table != NULL) {"
        for function in group:
            source = f"table + {function.slot} * sizeof(void *)"
            yield f"    memcpy(&newer->{function.name}, {source}, sizeof(void *));"
        yield "  }"


def pxd(functions: list[Function], types: Declarations) -> str:
    """Return the text of ``ort.pxd``."""
    least, newer = split(functions)
    structs = {
        **types.structs,
        "OrtApi": {function.name: function.signature for function in least},
        "ortmmap_newer_api": {function.name: function.signature for function in newer},
    }
    declarations = [*_pxd_types(types), *(_pxd_struct(*item) for item in structs.items())]
    return PXD_TEXT.format(declarations="\n\n".join(declarations))


def _pxd_types(types: Declarations) -> Iterator[str]:
    for name, enum in types.enums.items():
        yield _pxd_block(f"{'ctypedef ' if enum.is_typedef else ''}enum {name}", enum.values)
    # OrtApi gets its members below, after the types that its functions use.
    opaque = [f"ctypedef struct {name}" for name in types.opaque if name != "OrtApi"]
    yield "\n".join(_pxd_block(head, ["pass"]) for head in opaque)
    yield "    ctypedef struct OrtApi"
    for name, pointed in types.handles.items():
        yield _pxd_block(f"struct {pointed}", ["pass"])
        yield f"    ctypedef const {pointed} *{name}"
    callbacks = [_pxd_pointer(*callback) for callback in types.callbacks.items()]
    yield textwrap.indent("\n".join(f"ctypedef {callback}" for callback in callbacks), 4 * " ")


def _pxd_struct(name: str, members: dict[str, Signature | str]) -> str:
    lines = [
        f"{member} {key}" if isinstance(member, str) else _pxd_pointer(key, member)
        for key, member in members.items()
    ]
    return _pxd_block(f"ctypedef struct {name}", lines)


def _pxd_block(head: str, lines: list[str]) -> str:
    return f"    {head}:\n" + textwrap.indent("\n".join(lines), 8 * " ")


def _pxd_pointer(name: str, signature: Signature) -> str:
    """Return a function pointer in Cython, without names of arguments, in lines of `WIDTH`."""
    arguments = [_unnamed(part) for part in signature.arguments.split(",")]
    head = Signature(signature.result, "").declare(f"(*{name})").removesuffix(")")
    tail = ") noexcept nogil"
    whole = head + ", ".join(arguments) + tail
    if len(whole) <= WIDTH - 8:
        return whole
    # Lines break between arguments only.
    text = ", ".join(argument.replace(" ", "\0") for argument in arguments)
    lines = textwrap.wrap(text, WIDTH - 12)
    return "\n".join([head, *(f"    {line}" for line in lines), tail]).replace("\0", " ")


def _unnamed(argument: str) -> str:
    """Return the type of an argument as Cython writes it."""
    if argument == "void":
        return ""
    text = re.sub(r"\w+$", "", argument).strip()
    return re.sub(r"\bbool\b", "bint", re.sub(r"\b(?:enum|struct) ", "", text))


def outputs() -> dict[Path, str]:
    """Return the text of each generated file."""
    types = parse(TYPES.read_text())
    functions = read_table(TABLE.read_text(), types.types)
    return {HEADER: header(functions), PXD: pxd(functions, types)}


def main() -> int:
    """Write the files, or compare them."""
    try:
        made = outputs()
    except (DeclarationError, TableError) as error:
        print(error, file=sys.stderr)
        return 1
    if "--check" not in sys.argv[1:]:
        for path, text in made.items():
            path.write_text(text)
        return 0
    stale = [path for path, text in made.items() if path.read_text() != text]
    for path in stale:
        print(f"{path} is stale: run python tools/ort_abi.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

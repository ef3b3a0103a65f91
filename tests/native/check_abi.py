#!/usr/bin/env python3
"""Compare ortmmap's declarations of ONNX Runtime's C API with the official header.

    check_abi.py INCLUDE_DIR                 the folder of onnxruntime_c_api.h
    check_abi.py --slot NAME INCLUDE_DIR     print the slot of a function in struct OrtApi
    check_abi.py --self-test INCLUDE_DIR     break our headers in many ways; each must be noticed

Our headers, ort_types.h and ort_abi.h, are parsed as text, and a program that includes only them
measures their layout. A second file, which includes only the official header, then asserts every
type, value and offset at compile time.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from c_declarations import (  # noqa: E402
    ENUM,
    DeclarationError,
    Declarations,
    Signature,
    enumerator_names,
    parse,
)

TYPES = ROOT / "include" / "ortmmap" / "ort_types.h"
HEADER = ROOT / "include" / "ortmmap" / "ort_abi.h"

NEWER = "ortmmap_newer_api"  # a struct of our own, filled by ortmmap_newer_api_load
TABLE_OF = re.compile(r"base->GetApi\((\d+)\)")
LOAD = re.compile(r"memcpy\(&newer->(\w+), table \+ (\d+) \* sizeof\(void \*\)")


class AbiError(Exception):
    """Our headers differ from the official one."""


@dataclass
class Toolchain:
    """A C compiler, and the command that runs its programs (empty: none is needed)."""

    compiler: str
    runner: list


def our_header() -> str:
    """Return our two headers as one."""
    return TYPES.read_text() + HEADER.read_text().replace('#include "ort_types.h"\n', "")


def members(declarations: Declarations) -> list[tuple[str, str]]:
    """Return the members of the structs that ONNX Runtime shares with us."""
    structs = declarations.structs.items()
    return [(struct, name) for struct, types in structs if struct != NEWER for name in types]


def enumerators(declarations: Declarations) -> list[str]:
    return [name for enum in declarations.enums.values() for name in enum.values]


def c_type(member: Signature | str) -> str:
    return member if isinstance(member, str) else member.declare("(ORT_API_CALL *)")


def later_functions(header: str) -> Iterator[tuple[int, str, int]]:
    """Yield version, name and slot of the functions that ortmmap_newer_api_load fetches."""
    version = 0
    for line in header.splitlines():
        if match := TABLE_OF.search(line):
            version = int(match[1])
        elif match := LOAD.search(line):
            yield version, match[1], int(match[2])


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AbiError(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def measure(declarations, header, work, toolchain):
    """Return enumerator values, member offsets and struct sizes of our header, by running it."""
    names = ["ORTMMAP_ORT_API_VERSION", *enumerators(declarations)]
    rows = [(name, f"(long)({name})") for name in names]
    places = members(declarations) + [("OrtApi", gap) for gap in declarations.gaps]
    rows += [(f"{s}.{m}", f"(long)offsetof(struct {s}, {m})") for s, m in places]
    rows += [(f"sizeof {s}", f"(long)sizeof(struct {s})") for s in declarations.structs]
    prints = "\n".join(f'  printf("%s\\t%ld\\n", "{name}", {value});' for name, value in rows)
    source = work / "ours.c"
    source.write_text(
        f'#include "{header}"\n#include <stdio.h>\nint main(void) {{\n{prints}\n  return 0;\n}}\n'
    )
    program = work / "ours.exe"
    run(toolchain.compiler, "-std=gnu11", "-o", program, source)
    output = run(*toolchain.runner, program)
    measured = dict(line.split("\t") for line in output.splitlines())
    if len(measured) != len(rows):
        raise AbiError(f"measured {len(measured)} of {len(rows)} names: one is declared twice")
    return {name: int(value) for name, value in measured.items()}


def check_gaps(declarations, measured, pointer_size):
    for name, (slot, count) in declarations.gaps.items():
        if measured[f"OrtApi.{name}"] != slot * pointer_size or count < 1:
            raise AbiError(f"OrtApi.{name}: at the wrong slot")


def check_complete(declarations, header):
    """Check that the parser overlooked no function pointer of the header."""
    types = [type_ for found in declarations.structs.values() for type_ in found.values()]
    parsed = sum(isinstance(type_, Signature) for type_ in types)
    if parsed != header.count("(ORT_API_CALL *"):
        raise AbiError(f"only {parsed} function pointers were found")


def same(ours: str, official: str) -> str:
    return f"__builtin_types_compatible_p({ours}, {official})"


def typedef_assertion(name):
    return f"typedef {name}", same(f"struct {name} *", f"{name} *")


def later_types(declarations) -> set[str]:
    """Return the opaque types that only later functions name."""

    def named_in(structs):
        texts = (c_type(member) for struct in structs for member in struct.values())
        return {word for text in texts for word in re.findall(r"\w+", text)}

    later = named_in([declarations.structs[NEWER]])
    others = named_in([types for name, types in declarations.structs.items() if name != NEWER])
    return set(declarations.opaque) & later - others


def assertions(declarations, measured):
    """Yield (subject, C condition) pairs, to be compiled with the official header."""
    yield "ORT_API_VERSION", f"ORT_API_VERSION >= {measured['ORTMMAP_ORT_API_VERSION']}"
    for name in enumerators(declarations):
        yield name, f"{name} == {measured[name]}"
    for enum in declarations.enums:
        yield f"enum {enum}", f"sizeof(enum {enum}) == sizeof(int)"
    for struct, name in members(declarations):
        official = f"__typeof__(((struct {struct} *)0)->{name})"
        yield f"type of {struct}.{name}", same(c_type(declarations.structs[struct][name]), official)
        offset = measured[f"{struct}.{name}"]
        yield f"offset of {struct}.{name}", f"offsetof(struct {struct}, {name}) == {offset}"
    for struct in declarations.structs.keys() - {NEWER}:
        relation = ">=" if struct == "OrtApi" else "=="
        size = measured[f"sizeof {struct}"]
        yield f"size of {struct}", f"sizeof(struct {struct}) {relation} {size}"
    for name in declarations.opaque:
        if name not in later_types(declarations):
            yield typedef_assertion(name)
    for name, pointed in declarations.handles.items():
        yield f"typedef {name}", same(f"const struct {pointed} *", name)
    for name, signature in declarations.callbacks.items():
        yield f"typedef {name}", same(signature.declare("(*)"), name)
    for name, signature in declarations.functions.items():
        yield f"function {name}", same(signature.declare("ORT_API_CALL "), f"__typeof__({name})")


def later_assertions(declarations, header):
    """Yield (version, subject, C condition) of functions that the official header may not have."""
    loaded = list(later_functions(header))
    if sorted(name for _, name, _ in loaded) != sorted(declarations.structs[NEWER]):
        raise AbiError(f"{NEWER}: a function is not loaded, or loaded twice")
    for version, name, slot in loaded:
        ours = c_type(declarations.structs[NEWER][name])
        for type_ in sorted(later_types(declarations)):
            if re.search(rf"\b{type_}\b", ours):
                yield version, *typedef_assertion(type_)
        yield version, f"type of {name}", same(ours, f"__typeof__(((struct OrtApi *)0)->{name})")
        offset = f"offsetof(struct OrtApi, {name})"
        yield version, f"slot of {name}", f"{offset} == {slot} * sizeof(void *)"


def check_official(checks, later_checks, include, work, toolchain):
    lines = [f'_Static_assert({condition}, "ABI: {subject}");' for subject, condition in checks]
    lines += [
        f'#if ORT_API_VERSION >= {version}\n_Static_assert({condition}, "ABI: {subject}");\n#endif'
        for version, subject, condition in later_checks
    ]
    source = work / "official.c"
    source.write_text(
        "#include <onnxruntime_c_api.h>\n#include <stddef.h>\n" + "\n".join(lines) + "\n"
    )
    run(toolchain.compiler, "-std=gnu11", "-fsyntax-only", "-fmax-errors=0", f"-I{include}", source)


def check_whole_enums(declarations, include, work, toolchain):
    """Check that our enums have every enumerator of the official ones."""
    source = work / "preprocess.c"
    source.write_text("#include <onnxruntime_c_api.h>\n")
    text = " ".join(run(toolchain.compiler, "-E", "-P", f"-I{include}", source).split())
    official = {name: enumerator_names(body) for _, name, body in ENUM.findall(text)}
    for enum, ours in declarations.enums.items():
        if enum not in official:
            raise AbiError(f"enum {enum}: not found in the official header")
        if missing := set(official[enum]) - set(ours.values):
            raise AbiError(f"enum {enum}: missing {', '.join(sorted(missing))}")


def check_path_character(header, include, work, toolchain):
    """Check that the macro ORTCHAR_T has the same expansion."""
    source = work / "macro.c"
    expanded = []
    for line in (f'#include "{header}"', "#include <onnxruntime_c_api.h>"):
        source.write_text(f"{line}\nORTCHAR_T ends_here\n")
        text = run(toolchain.compiler, "-E", "-P", f"-I{include}", source)
        expanded.append(text.split("ends_here")[0].split("\n")[-1].strip())
    if expanded[0] != expanded[1]:
        raise AbiError(f"ORTCHAR_T: ours {expanded[0]}, official {expanded[1]}")


def check(header_text, include, toolchain):
    """Return our declarations and the number of facts compared; AbiError if one differs."""
    with tempfile.TemporaryDirectory(prefix="ortmmap-abi-") as folder:
        work = Path(folder)
        header = work / "ort_abi.h"
        header.write_text(header_text)
        declarations = parse(header_text)
        measured = measure(declarations, header, work, toolchain)
        pointer_size = measured["sizeof OrtApiBase"] // 2
        check_gaps(declarations, measured, pointer_size)
        check_complete(declarations, header_text)
        checks = list(assertions(declarations, measured))
        later_checks = list(later_assertions(declarations, header_text))
        check_official(checks, later_checks, include, work, toolchain)
        check_whole_enums(declarations, include, work, toolchain)
        check_path_character(header, include, work, toolchain)
    return declarations, len(checks)


def swap(text, one, other):
    """Return `text` with two parts exchanged."""
    return text.replace(one, "\0").replace(other, one).replace("\0", other)


# Name of a mutation: how it breaks the header, and a part of the complaint that must follow.
MUTATIONS = {
    "two slots swapped": (
        lambda t: swap(t, "*SetSessionLogId)", "*SetSessionLogVerbosityLevel)"),
        "offset of OrtApi.SetSessionLogId",
    ),
    "a gap one slot too long": (
        lambda t: re.sub(r"(unused_\d+)\[1\]", r"\1[2]", t, count=1),
        "at the wrong slot",
    ),
    "a gap left out": (
        lambda t: re.sub(r"void \*unused_\d+\[\d+\];", "", t, count=1),
        "wrong slot",
    ),
    "every gap left out": (
        lambda t: re.sub(r"void \*unused_\d+\[\d+\];", "", t),
        "offset of OrtApi.CreateSession",
    ),
    "a wrong enumerator": (lambda t: t.replace("ORT_FAIL = 1", "ORT_FAIL = 2"), "ORT_FAIL"),
    "a missing enumerator": (
        lambda t: t.replace("ORT_MODEL_REQUIRES_COMPILATION = 13,", ""),
        "missing ORT_MODEL_REQUIRES_COMPILATION",
    ),
    "an invented enumerator": (
        lambda t: t.replace("ORT_FAIL = 1,", "ORT_FAIL = 1, ORT_OTHER = 99,"),
        "ORT_OTHER",
    ),
    "a wrong argument type": (
        lambda t: t.replace(
            "*SetIntraOpNumThreads)(OrtSessionOptions *options, int count)",
            "*SetIntraOpNumThreads)(OrtSessionOptions *options, size_t count)",
        ),
        "type of OrtApi.SetIntraOpNumThreads",
    ),
    "a wrong enum as argument": (
        lambda t: t.replace("*CreateStatus)(OrtErrorCode", "*CreateStatus)(OrtLoggingLevel"),
        "type of OrtApi.CreateStatus",
    ),
    "a missing argument": (
        lambda t: t.replace("*CreateStatus)(OrtErrorCode code, ", "*CreateStatus)("),
        "type of OrtApi.CreateStatus",
    ),
    "a missing const": (
        lambda t: t.replace("*GetErrorMessage)(const OrtStatus", "*GetErrorMessage)(OrtStatus"),
        "type of OrtApi.GetErrorMessage",
    ),
    "a wrong opaque type": (
        lambda t: t.replace("*ReleaseValue)(OrtValue *", "*ReleaseValue)(OrtSession *"),
        "type of OrtApi.ReleaseValue",
    ),
    "a wrong result": (
        lambda t: t.replace(
            "void (ORT_API_CALL *ReleaseValue)", "int (ORT_API_CALL *ReleaseValue)"
        ),
        "type of OrtApi.ReleaseValue",
    ),
    "a misspelt function": (
        lambda t: t.replace("*ReleaseValue)", "*ReleaseValues)"),
        "ReleaseValues",
    ),
    "two members of OrtAllocator swapped": (
        lambda t: swap(t, "*Alloc)", "*Reserve)"),
        "offset of OrtAllocator.Alloc",
    ),
    "OrtAllocator too short": (
        lambda t: re.sub(r"void \*\(ORT_API_CALL \*AllocOnStream\)[^;]*;", "", t),
        "size of OrtAllocator",
    ),
    "a wrong type in OrtAllocator": (
        lambda t: t.replace("uint32_t version;", "int32_t version;"),
        "type of OrtAllocator.version",
    ),
    "a wrong callback": (
        lambda t: t.replace("OrtValue **outputs, size_t output_count,\n", "OrtValue **outputs,\n"),
        "typedef RunAsyncCallbackFn",
    ),
    "a wrong handle": (
        lambda t: t.replace(
            "typedef const struct OrtCustomHandleType *", "typedef const struct OrtEnv *"
        ),
        "typedef OrtCustomThreadHandle",
    ),
    "a wrong entry point": (
        lambda t: t.replace("OrtGetApiBase(void)", "OrtGetApiBase(int version)"),
        "function OrtGetApiBase",
    ),
    "an invented type": (
        lambda t: t.replace(
            "typedef struct OrtEnv OrtEnv;",
            "typedef struct OrtEnv OrtEnv; typedef struct OrtEnvy OrtEnvy;",
        ),
        "OrtEnvy",
    ),
    "a wrong character type": (
        lambda t: t.replace("#define ORTCHAR_T char", "#define ORTCHAR_T unsigned char"),
        "ORTCHAR_T",
    ),
    "a later function that is not loaded": (
        lambda t: re.sub(r"    memcpy\(&newer->.*\n", "", t, count=1),
        "not loaded",
    ),
    "a declaration that the parser does not know": (
        lambda t: t.replace("typedef struct OrtEnv OrtEnv;", "typedef union OrtEnv OrtEnv;"),
        "cannot parse",
    ),
}


def complaint(header_text, include, toolchain):
    try:
        check(header_text, include, toolchain)
    except (AbiError, DeclarationError) as error:
        return str(error)
    return ""


def official_slot(name, include, toolchain):
    """Return the slot of a function in the official struct OrtApi."""
    with tempfile.TemporaryDirectory(prefix="ortmmap-abi-") as folder:
        source, program = Path(folder, "slot.c"), Path(folder, "slot.exe")
        source.write_text(
            "#include <onnxruntime_c_api.h>\n#include <stddef.h>\n#include <stdio.h>\n"
            f'int main(void) {{ printf("%d\\n", (int)(offsetof(OrtApi, {name}) /'
            " sizeof(void *))); return 0; }\n"
        )
        run(toolchain.compiler, f"-I{include}", "-o", program, source)
        return run(*toolchain.runner, program).strip()


def self_test(include, toolchain):
    header = our_header()
    for what, (mutate, expected) in MUTATIONS.items():
        broken = mutate(header)
        if broken == header:
            raise AbiError(f"self-test: {what}: the header was not changed")
        answer = complaint(broken, include, toolchain)
        if expected not in answer:
            raise AbiError(f"self-test: {what}: expected {expected!r}, got {answer or 'nothing'!r}")
    return f"check_abi: self-test: {len(MUTATIONS)} broken headers, all noticed"


def report(include, toolchain):
    declarations, count = check(our_header(), include, toolchain)
    functions = len(declarations.structs["OrtApi"])
    values = len(enumerators(declarations))
    return f"check_abi: {count} facts agree: {functions} functions, {values} enumerators"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("include", type=Path, help="folder of onnxruntime_c_api.h")
    parser.add_argument("--compiler", default="gcc")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--slot", metavar="NAME", help="print the slot of a function")
    parser.add_argument("--runner", nargs="*", default=[], help="runs foreign programs: wine")
    arguments = parser.parse_args()
    toolchain = Toolchain(arguments.compiler, arguments.runner)
    include = arguments.include.resolve()
    try:
        if arguments.slot:
            print(official_slot(arguments.slot, include, toolchain))
        elif arguments.self_test:
            print(self_test(include, toolchain))
        else:
            print(report(include, toolchain))
    except (AbiError, DeclarationError) as error:
        sys.exit(f"check_abi: {error}")


if __name__ == "__main__":
    main()

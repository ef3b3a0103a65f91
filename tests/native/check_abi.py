#!/usr/bin/env python3
"""Compare include/ortmmap/ort_abi.h with ONNX Runtime's official header.

    check_abi.py INCLUDE_DIR                 the folder of onnxruntime_c_api.h
    check_abi.py --self-test INCLUDE_DIR     break our header in many ways; each must be noticed

Our header is parsed as text, and its layout measured by compiling it alone. A second file, which
includes the official header alone, then asserts every type, value and offset at compile time.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HEADER = Path(__file__).resolve().parents[2] / "include" / "ortmmap" / "ort_abi.h"

ENUM = re.compile(r"(?:typedef )?enum (\w+) \{([^}]*)\}(?: \1)?;")
STRUCT = re.compile(r"(?:typedef )?struct (\w+) \{([^}]*)\}(?: \1)?;")
OPAQUE = re.compile(r"typedef struct (\w+) \1;")
HANDLE = re.compile(r"typedef (const struct \w+ \*)(\w+);")
CALLBACK = re.compile(r"typedef ([^;{}()]*)\(\*(\w+)\)\(([^;{}()]*)\);")
FUNCTION = re.compile(r"([^;{}()]*)ORT_API_CALL (\w+)\(([^;{}()]*)\);")

SLOT = re.compile(r"([^()]*)\(ORT_API_CALL \*(\w+)\)\(([^()]*)\)")
GAP = re.compile(r"void \*unused_(\d+)\[(\d+)\]")
PLAIN = re.compile(r"(\w+) (\w+)")


class AbiError(Exception):
    """Our header differs from the official one, or can't be understood."""


@dataclass
class Toolchain:
    """A C compiler, and the command that runs what it makes (empty: none is needed)."""

    compiler: str
    runner: list


@dataclass
class Declarations:
    """What our header declares: names, and types as C text."""

    enums: dict = field(default_factory=dict)  # enum: [enumerator]
    structs: dict = field(default_factory=dict)  # struct: {member: type}
    gaps: dict = field(default_factory=dict)  # gap member of OrtApi: (first slot, count)
    opaque: list = field(default_factory=list)
    handles: dict = field(default_factory=dict)  # typedef of a pointer: type
    callbacks: dict = field(default_factory=dict)  # typedef: type
    functions: dict = field(default_factory=dict)  # function: type

    def members(self):
        return [(struct, name) for struct, types in self.structs.items() for name in types]

    def enumerators(self):
        return [name for names in self.enums.values() for name in names]


def declaration_text(header):
    """The header without comments, directives and the C++ wrapping, on one line."""
    text = re.sub(r"/\*.*?\*/", " ", header, flags=re.S)
    text = re.sub(r"#ifdef __cplusplus\n.*?#endif", " ", text, flags=re.S)
    text = re.sub(r"^#.*$", " ", text, flags=re.M)
    return " ".join(text.split())


def enumerator_names(body):
    return [item.split("=")[0].strip() for item in body.split(",") if item.strip()]


def parse_member(declarations, struct, member):
    if match := GAP.fullmatch(member):
        name = f"unused_{match[1]}"
        declarations.gaps[name] = (int(match[1]), int(match[2]))
    elif match := SLOT.fullmatch(member):
        declarations.structs[struct][match[2]] = f"{match[1]}(ORT_API_CALL *)({match[3]})"
    elif match := PLAIN.fullmatch(member):
        declarations.structs[struct][match[2]] = match[1]
    else:
        raise AbiError(f"{struct}: cannot parse member: {member}")


def parse(header):
    """Everything that the header declares; AbiError if any text of it is left over."""
    found = Declarations()
    text = declaration_text(header)
    for name, body in ENUM.findall(text):
        found.enums[name] = enumerator_names(body)
    text = ENUM.sub("", text)
    for name, body in STRUCT.findall(text):
        found.structs[name] = {}
        for member in filter(None, map(str.strip, body.split(";"))):
            parse_member(found, name, member)
    text = STRUCT.sub("", text)
    found.opaque = OPAQUE.findall(text)
    text = OPAQUE.sub("", text)
    found.handles = {name: type_ for type_, name in HANDLE.findall(text)}
    text = HANDLE.sub("", text)
    for result, name, arguments in CALLBACK.findall(text):
        found.callbacks[name] = f"{result}(*)({arguments})"
    text = CALLBACK.sub("", text)
    for result, name, arguments in FUNCTION.findall(text):
        found.functions[name] = f"{result}ORT_API_CALL ({arguments})"
    text = FUNCTION.sub("", text)
    if text.strip():
        raise AbiError(f"cannot parse: {text.strip()[:200]}")
    return found


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AbiError(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def measure(declarations, header, work, toolchain):
    """Enumerator values, member offsets and struct sizes of our header, from a program."""
    names = ["ORTMMAP_ORT_API_VERSION", *declarations.enumerators()]
    rows = [(name, f"(long)({name})") for name in names]
    members = declarations.members() + [("OrtApi", gap) for gap in declarations.gaps]
    rows += [(f"{s}.{m}", f"(long)offsetof(struct {s}, {m})") for s, m in members]
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
            raise AbiError(f"OrtApi.{name}: stands at the wrong slot")


def check_complete(declarations, header):
    """No function pointer of the header was overlooked by the parser."""
    types = [type_ for members in declarations.structs.values() for type_ in members.values()]
    parsed = sum("(ORT_API_CALL *)" in type_ for type_ in types)
    if parsed != header.count("(ORT_API_CALL *"):
        raise AbiError(f"only {parsed} function pointers were found")


def assertions(declarations, measured):
    """(what is checked, C condition) pairs, to be compiled with the official header."""

    def same(ours, official):
        return f"__builtin_types_compatible_p({ours}, {official})"

    yield "ORT_API_VERSION", f"ORT_API_VERSION >= {measured['ORTMMAP_ORT_API_VERSION']}"
    for name in declarations.enumerators():
        yield name, f"{name} == {measured[name]}"
    for enum in declarations.enums:
        yield f"enum {enum}", f"sizeof(enum {enum}) == sizeof(int)"
    for struct, name in declarations.members():
        official = f"__typeof__(((struct {struct} *)0)->{name})"
        yield f"type of {struct}.{name}", same(declarations.structs[struct][name], official)
        offset = measured[f"{struct}.{name}"]
        yield f"offset of {struct}.{name}", f"offsetof(struct {struct}, {name}) == {offset}"
    for struct in declarations.structs:
        relation = ">=" if struct == "OrtApi" else "=="
        size = measured[f"sizeof {struct}"]
        yield f"size of {struct}", f"sizeof(struct {struct}) {relation} {size}"
    for name in declarations.opaque:
        yield f"typedef {name}", same(f"struct {name} *", f"{name} *")
    for name, ours in (declarations.handles | declarations.callbacks).items():
        yield f"typedef {name}", same(ours, name)
    for name, ours in declarations.functions.items():
        yield f"function {name}", same(ours, f"__typeof__({name})")


def check_official(checks, include, work, toolchain):
    lines = [f'_Static_assert({condition}, "ABI: {what}");' for what, condition in checks]
    source = work / "official.c"
    source.write_text(
        "#include <onnxruntime_c_api.h>\n#include <stddef.h>\n" + "\n".join(lines) + "\n"
    )
    run(toolchain.compiler, "-std=gnu11", "-fsyntax-only", "-fmax-errors=0", f"-I{include}", source)


def check_whole_enums(declarations, include, work, toolchain):
    """No enumerator of the official enums is missing from ours."""
    source = work / "preprocess.c"
    source.write_text("#include <onnxruntime_c_api.h>\n")
    text = " ".join(run(toolchain.compiler, "-E", "-P", f"-I{include}", source).split())
    official = {name: enumerator_names(body) for name, body in ENUM.findall(text)}
    for enum, names in declarations.enums.items():
        if enum not in official:
            raise AbiError(f"enum {enum}: not found in the official header")
        if missing := set(official[enum]) - set(names):
            raise AbiError(f"enum {enum}: missing {', '.join(sorted(missing))}")


def check_path_character(header, include, work, toolchain):
    """ORTCHAR_T, a macro, expands alike."""
    source = work / "macro.c"
    expanded = []
    for line in (f'#include "{header}"', "#include <onnxruntime_c_api.h>"):
        source.write_text(f"{line}\nORTCHAR_T is what stands here\n")
        text = run(toolchain.compiler, "-E", "-P", f"-I{include}", source)
        expanded.append(text.split("is what stands here")[0].split("\n")[-1].strip())
    if expanded[0] != expanded[1]:
        raise AbiError(f"ORTCHAR_T: ours {expanded[0]}, official {expanded[1]}")


def check(header_text, include, toolchain):
    """How many facts were compared; AbiError if one differs."""
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
        check_official(checks, include, work, toolchain)
        check_whole_enums(declarations, include, work, toolchain)
        check_path_character(header, include, work, toolchain)
    return declarations, len(checks)


def swap(text, one, other):
    """`text` with two pieces exchanged."""
    return text.replace(one, "\0").replace(other, one).replace("\0", other)


# What is broken, how, and a word of the complaint that must follow.
MUTATIONS = {
    "two slots swapped": (
        lambda t: swap(t, "*EnableMemPattern)", "*DisableMemPattern)"),
        "offset of OrtApi.EnableMemPattern",
    ),
    "a gap one slot too long": (
        lambda t: re.sub(r"(unused_\d+)\[1\]", r"\1[2]", t, count=1),
        "stands at the wrong slot",
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
        lambda t: t.replace("*ReleaseEnv)(OrtEnv *", "*ReleaseEnv)(OrtSession *"),
        "type of OrtApi.ReleaseEnv",
    ),
    "a wrong result": (
        lambda t: t.replace("void(ORT_API_CALL *ReleaseValue)", "int(ORT_API_CALL *ReleaseValue)"),
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
    "a declaration that the parser does not know": (
        lambda t: t.replace("typedef struct OrtEnv OrtEnv;", "typedef union OrtEnv OrtEnv;"),
        "cannot parse",
    ),
}


def complaint(header_text, include, toolchain):
    try:
        check(header_text, include, toolchain)
    except AbiError as error:
        return str(error)
    return ""


def self_test(include, toolchain):
    header = HEADER.read_text()
    for what, (mutate, expected) in MUTATIONS.items():
        broken = mutate(header)
        if broken == header:
            raise AbiError(f"self-test: {what}: the header was not changed")
        answer = complaint(broken, include, toolchain)
        if expected not in answer:
            raise AbiError(f"self-test: {what}: expected {expected!r}, got {answer or 'nothing'!r}")
    return f"check_abi: self-test: {len(MUTATIONS)} broken headers, all noticed"


def report(include, toolchain):
    declarations, count = check(HEADER.read_text(), include, toolchain)
    functions = len(declarations.structs["OrtApi"])
    enumerators = len(declarations.enumerators())
    return f"check_abi: {count} facts agree: {functions} functions, {enumerators} enumerators"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("include", type=Path, help="folder of onnxruntime_c_api.h")
    parser.add_argument("--compiler", default="gcc")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--runner", nargs="*", default=[], help="runs a foreign program, as wine")
    arguments = parser.parse_args()
    toolchain = Toolchain(arguments.compiler, arguments.runner)
    include = arguments.include.resolve()
    try:
        if arguments.self_test:
            print(self_test(include, toolchain))
        else:
            print(report(include, toolchain))
    except AbiError as error:
        sys.exit(f"check_abi: {error}")


if __name__ == "__main__":
    main()

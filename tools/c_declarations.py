"""The declarations of a C header that keeps to the forms of ``include/ortmmap/ort_types.h``."""

import re
from dataclasses import dataclass, field

ENUM = re.compile(r"((?:typedef )?)enum (\w+) \{([^}]*)\}(?: \2)?;")
STRUCT = re.compile(r"(?:typedef )?struct (\w+) \{([^}]*)\}(?: \1)?;")
OPAQUE = re.compile(r"typedef struct (\w+) \1;")
HANDLE = re.compile(r"typedef const struct (\w+) \*(\w+);")
CALLBACK = re.compile(r"typedef ([^;{}()]*)\(\*(\w+)\)\(([^;{}()]*)\);")
FUNCTION = re.compile(r"([^;{}()]*)ORT_API_CALL (\w+)\(([^;{}()]*)\);")
INLINE = re.compile(r"^static inline [^{]*\{.*?^\}", re.MULTILINE | re.DOTALL)

POINTER = re.compile(r"([^()]*)\(ORT_API_CALL \*(\w+)\)\(([^()]*)\)")
GAP = re.compile(r"void \*unused_(\d+)\[(\d+)\]")
PLAIN = re.compile(r"(\w+) (\w+)")


class DeclarationError(Exception):
    """A header contains text that is none of the known forms."""


@dataclass(frozen=True)
class Enum:
    """An enumeration and the names of its values."""

    is_typedef: bool
    values: list[str]


@dataclass(frozen=True)
class Signature:
    """The result and the arguments of a function or function pointer, as C text."""

    result: str
    arguments: str

    def declare(self, declarator: str) -> str:
        """Return the declaration of `declarator`, such as ``(*name)``, with this signature."""
        space = "" if self.result.endswith("*") else " "
        return f"{self.result}{space}{declarator}({self.arguments})"


@dataclass
class Declarations:
    """The declarations of one header, by name and in order."""

    enums: dict[str, Enum] = field(default_factory=dict)
    structs: dict[str, dict[str, Signature | str]] = field(default_factory=dict)
    gaps: dict[str, tuple[int, int]] = field(default_factory=dict)  # name: (first slot, count)
    opaque: list[str] = field(default_factory=list)
    handles: dict[str, str] = field(default_factory=dict)  # typedef: the struct pointed to
    callbacks: dict[str, Signature] = field(default_factory=dict)
    functions: dict[str, Signature] = field(default_factory=dict)

    @property
    def types(self) -> set[str]:
        """Names that may stand for a type."""
        return {*self.enums, *self.structs, *self.opaque, *self.handles, *self.callbacks}


def declaration_text(header: str) -> str:
    """Return a header on one line, without comments, directives and function bodies."""
    text = re.sub(r"/\*.*?\*/", " ", header, flags=re.DOTALL)
    text = re.sub(r"#ifdef __cplusplus\n.*?#endif", " ", text, flags=re.DOTALL)
    text = re.sub(r"^#.*$", " ", text, flags=re.MULTILINE)
    text = INLINE.sub(" ", text)
    return " ".join(text.split())


def enumerator_names(body: str) -> list[str]:
    """Return the names in the braces of an enum."""
    return [item.split("=")[0].strip() for item in body.split(",") if item.strip()]


def parse(header: str) -> Declarations:
    """Return everything that a header declares.

    Raises
    ------
    DeclarationError
        If some text is left over.
    """
    found = Declarations()
    text = declaration_text(header)
    for typedef, name, body in ENUM.findall(text):
        found.enums[name] = Enum(bool(typedef), enumerator_names(body))
    text = ENUM.sub("", text)
    for name, body in STRUCT.findall(text):
        found.structs[name] = {}
        for member in filter(None, map(str.strip, body.split(";"))):
            _parse_member(found, name, member)
    text = STRUCT.sub("", text)
    found.opaque = OPAQUE.findall(text)
    text = OPAQUE.sub("", text)
    found.handles = {name: pointed for pointed, name in HANDLE.findall(text)}
    text = HANDLE.sub("", text)
    for result, name, arguments in CALLBACK.findall(text):
        found.callbacks[name] = Signature(result.strip(), arguments)
    text = CALLBACK.sub("", text)
    for result, name, arguments in FUNCTION.findall(text):
        found.functions[name] = Signature(result.strip(), arguments)
    text = FUNCTION.sub("", text)
    if text.strip():
        raise DeclarationError(f"cannot parse: {text.strip()[:200]}")
    return found


def _parse_member(found: Declarations, struct: str, member: str) -> None:
    if match := GAP.fullmatch(member):
        found.gaps[f"unused_{match[1]}"] = (int(match[1]), int(match[2]))
    elif match := POINTER.fullmatch(member):
        found.structs[struct][match[2]] = Signature(match[1].strip(), match[3])
    elif match := PLAIN.fullmatch(member):
        found.structs[struct][match[2]] = match[1]
    else:
        raise DeclarationError(f"{struct}: cannot parse member: {member}")

"""A small assembler for class files and tar archives that resemble Avro's generated classes."""

from __future__ import annotations

import io
import tarfile
from struct import pack


class ClassWriter:
    """A constant pool, and a static initializer that stores a text in parts into ``SCHEMA$``."""

    def __init__(self) -> None:
        self._constants: list[bytes] = []
        self._count = 1

    def add(self, raw: bytes, width: int = 1) -> int:
        number = self._count
        self._constants.append(raw)
        self._count += width
        return number

    def utf8(self, text: bytes) -> int:
        return self.add(b"\x01" + pack(">H", len(text)) + text)

    def string(self, text: bytes) -> int:
        return self.add(b"\x08" + pack(">H", self.utf8(text)))

    def field(self, name: bytes) -> int:
        owner = self.add(b"\x07" + pack(">H", self.utf8(b"org/example/It")))
        kind = self.add(b"\x0c" + pack(">HH", self.utf8(name), self.utf8(b"Lorg/apache/avro/Schema;")))
        return self.add(b"\x09" + pack(">HH", owner, kind))

    def bytes_of(self, code: bytes, method: bytes = b"<clinit>") -> bytes:
        name, kind, attribute = self.utf8(method), self.utf8(b"()V"), self.utf8(b"Code")
        value, source = self.utf8(b"ConstantValue"), self.utf8(b"SourceFile")
        this = self.add(b"\x07" + pack(">H", self.utf8(b"org/example/It")))
        body = pack(">HHI", 9, 9, len(code)) + code + pack(">HH", 0, 0)
        pool = b"".join(self._constants)
        return b"".join(
            (
                pack(">IHHH", 0xCAFEBABE, 0, 52, self._count), pool, pack(">HHHH", 1, this, this, 1), b"\0\1",
                pack(">H", 1), pack(">HHHHHIH", 8, name, kind, 1, value, 2, 1),
                pack(">H", 1), pack(">HHHHHI", 8, name, kind, 1, attribute, len(body)), body,
                pack(">HHIH", 1, source, 2, name),
            )
        )  # fmt: skip


def avro_class(*parts: str, before: tuple[bytes, ...] = (), wide: bool = True) -> bytes:
    """Return a class whose ``SCHEMA$`` consists of these texts; ``before`` are strings used earlier."""
    writer = ClassWriter()
    writer.add(b"\x05" + bytes(8), width=2)  # a long, as every such class has one: serialVersionUID
    loads = []
    for part in (*before, *(modified_utf8(one) for one in parts)):
        number = writer.string(part)
        loads.append(b"\x13" + pack(">H", number) if wide else b"\x12" + pack(">B", number))
    noise = b"\x03\x10\x07\x57\xc4\x84\x00\x01\x12\xff"  # iconst_0, bipush, pop, wide iinc (not ldc)
    return writer.bytes_of(
        noise + b"\x57".join(loads) + b"\xb3" + pack(">H", writer.field(b"SCHEMA$")) + b"\xb1"
    )


def modified_utf8(text: str) -> bytes:
    """Encode text as Java does in class files: each UTF-16 unit separately, zero in two bytes."""
    units = text.encode("utf-16-be", "surrogatepass")
    chars = (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
    return b"".join(
        b"\xc0\x80" if unit == 0 else chr(unit).encode("utf-8", "surrogatepass") for unit in chars
    )


def tar_of(
    *members: tuple[str, bytes | None], kind: bytes = tarfile.SYMTYPE, form: int = tarfile.GNU_FORMAT
) -> bytes:
    """Return a tar archive of files; an entry without content has type ``kind``."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = kind, "/etc/passwd"
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content or b""))
    return file.getvalue()

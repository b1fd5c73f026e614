"""What the file formats of products share: lines of text, products as they stand in a file, what is wrong with them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple, Protocol

from persistence.records import ProductRecord
from serve.catalog.bulk import Location
from serve.platform.errors import UserError

EXIT_SOME_REFUSED: Final = 1
EXIT_FILE_REFUSED: Final = 2
"""Nothing of the file was taken; or the stores failed half-way."""

LINE_BYTES_MAX: Final = 1_048_576
"""As large as a request's body may be."""

_BOM: Final = b"\xef\xbb\xbf"
_OTHER_BOMS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class FileRefused(UserError):
    """The file as a whole cannot be read: nothing of it is taken."""

    def __init__(self, message: str) -> None:
        super().__init__(message, EXIT_FILE_REFUSED)


class Fault(NamedTuple):
    """One thing that is wrong: where in the file, and why. `field` is a column, a JSON pointer, or "" for the row."""

    line: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProduct:
    """One product as it stands in a file. `body` is for `ProductIn`, but counts only without `faults`."""

    line: int
    rows: int
    id: str
    where: Callable[[Location], tuple[int, str]]
    """Line and field of a member."""
    body: dict[str, object] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class Tally:
    """How many products became what; `refused_rows` are those of the refused ones."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    refused_rows: int = 0
    categories: list[str] = field(default_factory=list)
    """Those that were made."""

    @property
    def products(self) -> int:
        """All of them."""
        return self.created + self.changed + self.unchanged + self.refused


class TextLines:
    """The lines of a file in UTF-8, with or without a BOM, each with its end. `line` is the number of the last one.

    Raises `FileRefused` at a line that is not UTF-8, or longer than `LINE_BYTES_MAX`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.line = 0
        self.bytes_read = 0

    def __iter__(self) -> Iterator[str]:
        """Itself."""
        return self

    def __next__(self) -> str:
        """The next line."""
        raw = self._file.readline(LINE_BYTES_MAX + 1)
        if not raw:
            raise StopIteration
        begins_at = self.bytes_read
        self.line += 1
        self.bytes_read += len(raw)
        if begins_at == 0:
            for bom, encoding in _OTHER_BOMS.items():
                if raw.startswith(bom):
                    raise FileRefused(f"the file is {encoding}: save it as UTF-8")
            raw = raw.removeprefix(_BOM)
        if len(raw) > LINE_BYTES_MAX:
            raise FileRefused(f"line {self.line} is longer than {LINE_BYTES_MAX} bytes")
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            at = self.bytes_read - len(raw) + error.start
            raise FileRefused(
                f"the file is not UTF-8: byte 0x{raw[error.start]:02X} at offset {at}, in line {self.line}; save it as UTF-8"
            ) from None


class ProductFormat(Protocol):
    """A file format of products."""

    def named(self, lines: TextLines) -> Iterator[tuple[int, str]]:
        """Line and id ("" if it has none) of each product, read quickly. Raises `FileRefused`."""

    def products(self, lines: TextLines) -> Iterator[FileProduct]:
        """Each product of the file. Raises `FileRefused`."""

    def head(self) -> str:
        """What an exported file begins with."""

    def text(self, product: ProductRecord) -> str:
        """A product as `products` reads it."""

"""HTTP/1.1 answers as a load generator needs them: status and body, and nothing else looked at."""

from __future__ import annotations

_MOST_HEADS = 1_000


class UnreadableAnswer(Exception):
    """The server answered in a way that this benchmark does not read."""


class AnswerReader:
    """Reads the answers of one connection, one after the other.

    A server's heads repeat: what one says is looked up, and parsed only the first time.
    """

    def __init__(self) -> None:
        self._data = b""
        self._heads: dict[bytes, tuple[int, int]] = {}

    def feed(self, data: bytes) -> tuple[int, bytes] | None:
        """Take bytes as they come; give status and body when an answer is whole, None before.

        Raises:
            UnreadableAnswer: it has no content length, is no HTTP, or more came than was asked for.
        """
        if self._data:
            data = self._data + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._data = data
            return None
        head = data[:end]
        known = self._heads.get(head)
        if known is None:
            known = self._remember(head)
        status, length = known
        missing = end + 4 + length - len(data)
        if missing > 0:
            self._data = data
            return None
        if missing < 0:
            raise UnreadableAnswer(f"{-missing} bytes too many after {head!r}")
        self._data = b""
        return status, data[end + 4 :]

    def _remember(self, head: bytes) -> tuple[int, int]:
        # A head with the time of day in it is a new one every second.
        if len(self._heads) >= _MOST_HEADS:
            self._heads.clear()
        self._heads[head] = found = parse_head(head)
        return found


def parse_head(head: bytes) -> tuple[int, int]:
    """Give status and content length.

    Args:
        head: status line and header lines, without the empty line.

    Raises:
        UnreadableAnswer: it has no content length, or is no HTTP/1.1 head.
    """
    lines = head.split(b"\r\n")
    status = lines[0].split(b" ")
    if not lines[0].startswith(b"HTTP/1.") or len(status) < 2 or not status[1].isdigit():
        raise UnreadableAnswer(f"no HTTP status line: {lines[0][:80]!r}")
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and value.strip().isdigit():
            return int(status[1]), int(value)
    raise UnreadableAnswer(f"no content length in {head!r}")

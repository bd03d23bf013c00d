"""Request bodies of the ingestion API: content type, content encoding and size, before anything is parsed. Pure."""

import zlib

import zstandard

from apps.runtime.problems import BadRequest, TooLarge, Unsupported

JSON_TYPES = frozenset({"", "application/json", "text/json"})
MAX_ZSTD_WINDOW = 1 << 27


def check_content_type(header: str) -> None:
    """Raise Unsupported (415) unless the header says JSON, or says nothing."""
    media_type = header.partition(";")[0].strip().lower()
    if media_type not in JSON_TYPES and not media_type.endswith("+json"):
        raise Unsupported(f"Content-Type {media_type!r} is not spoken here.", field="Content-Type", fix="Send application/json.")


def check_size(size: int, limit: int) -> None:
    """Raise TooLarge (413), with the limit named, for a body of more than `limit` bytes."""
    if size > limit:
        raise TooLarge(
            f"The body has more than {limit:,} bytes, which is the limit of this receiver.",
            fix="Send smaller batches.",
            extra={"limit_bytes": limit},
        )


def decoded(raw: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding (gzip, zstd or none).

    Never inflates past `limit` bytes. Raises TooLarge (413), Unsupported (415), BadRequest (400: damaged or cut short).
    """
    match encoding.strip().lower():
        case "" | "identity":
            body = raw
        case "gzip" | "x-gzip":
            body = _gunzip(raw, limit)
        case "zstd":
            body = _unzstd(raw, limit)
        case other:
            raise Unsupported(
                f"Content-Encoding {other!r} is not spoken here.", field="Content-Encoding", fix="Send gzip, zstd or plain."
            )
    check_size(len(body), limit)
    return body


def _gunzip(raw: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        body = inflater.decompress(raw, limit + 1)
    except zlib.error as error:
        raise BadRequest(f"The gzip body is damaged: {error}.", field="Content-Encoding") from error
    check_size(len(body), limit)
    if not inflater.eof:
        raise BadRequest("The gzip body is cut short.", field="Content-Encoding")
    return body


def _unzstd(raw: bytes, limit: int) -> bytes:
    # a frame that is cut short simply ends early here; the JSON inside it then fails to parse (400)
    reader = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW).stream_reader(raw)
    try:
        return reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise BadRequest(f"The zstd body is damaged: {error}.", field="Content-Encoding") from error

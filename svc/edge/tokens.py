"""Bearer tokens, of which the service knows only the hashes.

`python -m edge.tokens NAME SCOPE [APPLICATION]` prints a new token, once, and its line for the
setting API_TOKENS.
"""

import hashlib
import re
import secrets
import sys
from dataclasses import dataclass

SCOPES = {"read", "write"}
USAGE = "usage: python -m edge.tokens NAME read|write [APPLICATION]"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHA_256 = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a bearer token: the client's name, what it may do, and where.

    `hashed` is the SHA-256 of the token's text, in lower-case hexadecimal. `application`, a name or
    an id, is the one that the token is confined to, if any. The scope `write` implies `read`.
    """

    name: str
    scope: str
    hashed: str
    application: str | None = None


def parse(text: str) -> list[Token]:
    """The tokens of a list `name:scope:sha256[:application]`, separated by commas.

    Anything else, an empty place between two commas too, raises a ValueError that never repeats the
    text: a list that was damaged must not open the service.
    """
    tokens = []
    for number, line in enumerate(map(str.strip, text.split(",")), 1):
        name, scope, hashed, application = (line.split(":", 3) + [""] * 3)[:4]
        if not _NAME.fullmatch(name):
            raise ValueError(f"token {number} has no name of [A-Za-z0-9._-]")
        if scope not in SCOPES:
            raise ValueError(f"token {number} has a scope that is neither read nor write")
        if not _SHA_256.fullmatch(hashed):
            raise ValueError(f"token {number} has no SHA-256 of 64 hexadecimal digits")
        if line.count(":") > 2 and not application:
            raise ValueError(f"token {number} is confined to nothing")
        tokens.append(Token(name, scope, hashed.lower(), application or None))
    if len({token.name for token in tokens}) < len(tokens):
        raise ValueError("two tokens have the same name")
    if len({token.hashed for token in tokens}) < len(tokens):
        raise ValueError("two tokens have the same hash")
    return tokens


def hash_of(text: bytes) -> str:
    """The SHA-256 of a token's text, in lower-case hexadecimal."""
    return hashlib.sha256(text).hexdigest()


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status: 0, or 2 for wrong usage."""
    secret = secrets.token_urlsafe(32)
    parts = [*arguments[:2], hash_of(secret.encode()), *arguments[2:]]
    line = ":".join(parts)
    try:
        # A comma in the application's name would make two tokens of the line.
        if len(arguments) not in {2, 3} or parse(line) != [Token(*parts)]:
            raise ValueError(USAGE)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"The token, shown this once:  {secret}")
    print(f"Its line for API_TOKENS:     {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

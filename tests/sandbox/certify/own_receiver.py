"""The receiver of the SDK as a partner would run it: `own_receiver.py PORT FOLDER SERVER`."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from mosvpp.receiver import SqlInbox, asgi
from mosvpp.signatures import Headers, HmacSignature, SharedHeaders

HEADERS = {"X-API-Key": "the present secret", "X-Site-Group": "north"}
PREVIOUS = {"X-API-Key": "the secret before"}
SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Both:
    """Headers and a signature."""

    needs_body = True

    def __init__(self) -> None:
        self._headers = SharedHeaders({name: _secrets(name) for name in HEADERS})
        self._signature = HmacSignature(SIGNING_SECRET)
        self.names = self._headers.names

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        self._headers.verify(body, headers, now)
        self._signature.verify(body, headers, now)


def _secrets(name: str) -> list[str]:
    return [values[name] for values in (HEADERS, PREVIOUS) if name in values]


def store(folder: Path) -> str:
    return f"sqlite:///{folder / 'inbox.db'}"


def main(port: int, folder: Path) -> None:
    import uvicorn

    app = asgi(SqlInbox(store(folder)), verifier=Both())
    uvicorn.run(app, port=port, log_level="error")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

"""Serve `receiving` on a real server: `server` of SETTINGS is granian, granian-wsgi or uvicorn.

The options of the servers are those that partners have when they set none, with shorter deadlines where a
test asks for them.
"""

from __future__ import annotations

import json
import os

settings = json.loads(os.environ["SETTINGS"])


def main() -> None:
    if settings["server"] == "uvicorn":
        import uvicorn

        uvicorn.run("receiving:app", port=settings["port"], log_level="error", access_log=False)
        return
    from granian import Granian
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    is_wsgi = settings["server"] == "granian-wsgi"
    deadline_s = settings.get("header_deadline", 30)
    Granian(
        "receiving:wsgi_app" if is_wsgi else "receiving:app",
        port=settings["port"],
        interface=Interfaces.WSGI if is_wsgi else Interfaces.ASGI,
        log_level=LogLevels.error,
        http1_settings=HTTP1Settings(header_read_timeout=int(deadline_s * 1000)),
    ).serve()


if __name__ == "__main__":
    main()

"""A plain Clear Key license server that knows nothing of us: ten lines that any developer would write."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextlib.contextmanager
def plain_server(keys: dict[str, str], *, refuse_unknown_members: bool = False) -> Iterator[str]:
    """Serve `keys` (base64url KID to base64url key); give the license URL. It leaves out what it does not know."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = [{"kty": "oct", "kid": kid, "k": keys[kid]} for kid in request["kids"] if kid in keys]
            refused = refuse_unknown_members and set(request) - {"kids", "type"}
            body = b"what is this?" if refused else json.dumps({"keys": found, "type": request["type"]}).encode()
            self.send_response(400 if refused else 200)
            self.send_header("Content-Type", "text/plain" if refused else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/clearkey"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A local server with a few files, for tests of downloads."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.server.seen.append((self.path, start))
        self.close_connection = True
        data = self.server.files.get(self.path)
        if data is None:
            return self.send_error(404)
        if callable(data):
            return self.unruly(data, start)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:])
        return None

    def unruly(self, answer, start):
        """Send the bytes that `answer` yields until the server closes."""
        try:
            for data in answer(start):
                self.wfile.write(data)
                if self.server.closing.wait(self.server.pause_s):
                    break
        except OSError:
            pass  # the client has closed the connection

    def log_message(self, *arguments):
        pass


@contextmanager
def serving(files):
    """Serve files: {"/path": bytes, or a function of the first byte that yields an answer with
    header}.

    The server has .url, .seen: [(path, first byte), ...], and .pause_s: seconds between pieces of
    answers.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False  # so that closing the server waits for its threads
        server.files, server.seen = files, []
        server.closing, server.pause_s = threading.Event(), 0
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()

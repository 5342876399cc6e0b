"""A server on 127.0.0.1 that sends bytes as they stand, be they a good answer or not."""

import socket
import threading


class Raw:
    """A server that sends bytes as they stand, one script for each connection (the last, again).

    A script is what is sent at once, what is then sent again and again, how often, the pause
    before each in seconds, and the end, which makes the whole a good answer.
    """

    def __init__(self):
        self.scripts, self.requests, self.finished = [], [], threading.Event()
        self.ended = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            if self.ended.is_set():
                connection.close()
                return
            thread = threading.Thread(target=self.serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, connection):
        with connection:
            try:
                connection.settimeout(5)
                request = b""
                while b"messages" not in request:
                    if not (piece := connection.recv(2**16)):
                        return
                    request += piece
                self.requests.append(request)
                first, again, times, pause, end = self.scripts[
                    min(len(self.requests), len(self.scripts)) - 1
                ]
                connection.sendall(first)
                for number in range(times):
                    self.ended.wait(pause)
                    connection.sendall(again(number) if callable(again) else again)
                self.finished.set()
                connection.sendall(end)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(2**16):  # else what was sent is lost
                    pass
            except OSError:  # the client has given up
                pass

    def close(self):
        self.ended.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self.threads:
            thread.join()
        self.listener.close()

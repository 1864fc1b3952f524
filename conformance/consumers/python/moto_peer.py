"""Moto's server on a loopback port of its own: prints the port, ends when its input ends."""

import os
import sys
import threading

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print(port, flush=True)


def wait_for_the_end():
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


threading.Thread(target=wait_for_the_end, daemon=True).start()
threading.Event().wait()

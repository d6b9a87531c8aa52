"""Clients that take their time, in a process of their own: `python tricklers.py PORT KIND NUMBER` prints `attacking`.

Each of `KINDS` begins as its kind does, and goes on with a byte now and then; one that is cut off connects again.
"""

import asyncio
import socket
import sys

KINDS = ("headers", "bodies", "answers", "silent")
EVERY = 0.5  # seconds between the bytes of one client
LARGE = "/components/targets/large"  # more than a kernel buffers


def opening(kind: str) -> bytes:
    return {
        "headers": b"POST /license HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        "bodies": b"POST /license HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n",
        "answers": b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % LARGE.encode(),
        "silent": b"",
    }[kind]


async def trickle(port: int, kind: str, connected: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    while True:
        with socket.socket() as connection:
            connection.setblocking(False)
            if kind == "answers":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                await loop.sock_connect(connection, ("127.0.0.1", port))
                await loop.sock_sendall(connection, opening(kind))
                connected.set()
                while await asyncio.sleep(EVERY, result=True):
                    if kind in ("headers", "bodies"):
                        await loop.sock_sendall(connection, b"a")
                    else:  # a byte of the answer; nothing comes to one that is silent, until it is cut off
                        if not await loop.sock_recv(connection, 1):
                            break
            except OSError:
                await asyncio.sleep(0.1)


async def main(port: int, kind: str, number: int) -> None:
    begun = [asyncio.Event() for _ in range(number)]
    tasks = [asyncio.create_task(trickle(port, kind, connected)) for connected in begun]
    for connected in begun:
        await connected.wait()
    print("attacking", flush=True)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))

"""Ports for what a test starts; shared by the rigs and the measurements."""
import random, socket

given = set()


def free_port(host="127.0.0.1", family=socket.AF_INET):
    """Below those that the kernel gives to whoever asks for any, so that no target or client of a test takes it
    meanwhile; never the same twice."""
    while True:
        port = random.randint(12000, 31999)
        if port in given:
            continue
        with socket.socket(family) as s:
            try:
                s.bind((host, port))
            except OSError:
                continue
        given.add(port)
        return port

"""Pieces of one byte, on MicroPython; prints the most bytes of the heap that they hold."""

import gc

from lilong_protocol.pieces import PieceReader

COUNT = 3000


def main():
    reader = PieceReader()
    gc.collect()
    before = gc.mem_alloc()
    most = 0
    for number in range(COUNT):
        reader.feed(bytes((number % 64 | (0 if number else 128), 1, 7)))
        if number % 16 == 0:
            gc.collect()
            most = max(most, gc.mem_alloc() - before)
    print(most)


main()

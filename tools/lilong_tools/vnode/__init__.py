"""Virtual nodes: the real firmware on a real MicroPython, a UART on a pseudo terminal."""

from lilong_tools.vnode.cable import Cable
from lilong_tools.vnode.folder import make_folder
from lilong_tools.vnode.node import HEAP_KIB, VirtualNode
from lilong_tools.vnode.port import Port

__all__ = ["HEAP_KIB", "Cable", "Port", "VirtualNode", "make_folder"]

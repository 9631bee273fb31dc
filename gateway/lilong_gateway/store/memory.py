"""What the writer knows of nodes, so that it need not read it anew for each commit."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_gateway.store.sequence import Sequence

_NODES_KEPT = 4096
_BOOTS_KEPT = 64


class Node:
    """A row of the table node, with what is durable of its streams and the boots it told of."""

    def __init__(
        self, number: int, descriptor: int | None, boot_id: int | None, epoch: int | None
    ) -> None:
        self.number = number
        self.descriptor = descriptor
        self.boot_id = boot_id
        self.epoch = epoch
        self.epochs: dict[int, int | None] = {}
        self.streams: dict[tuple[int, int], Sequence] = {}


class Memory:
    """Nodes by EUI; only a transaction that ends well may leave changes in it."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, Node] = {}

    def forget(self) -> None:
        """Read everything anew."""
        self.nodes.clear()

    def tidy(self) -> None:
        """Stay small; call it between transactions."""
        if len(self.nodes) > _NODES_KEPT:
            self.nodes.clear()

    def tidy_node(self, node: Node) -> None:
        """Stay small, whatever one node does: it may begin epochs and boots for ever."""
        if len(node.epochs) > _BOOTS_KEPT:
            node.epochs.clear()

"""The tree under the audit log, and what is proven with it (RFC 6962, RFC 9162 sections 2.1.3 and 2.1.4).

Pure functions: what they compute, an independent verifier computes as well. No inner hash is stored but the right
edge. It is kept with every checkpoint, and is all that a proof from there needs of what came before.
"""

import hashlib
from collections.abc import Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32


def leaf_hash(data: bytes) -> bytes:
    """RFC 6962: SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Edge:
    """The right edge of the tree: one hash for each complete subtree, largest first."""

    def __init__(self, size: int = 0, packed: bytes = b"") -> None:
        self.size = size
        self.hashes = [packed[i : i + HASH_BYTES] for i in range(0, len(packed), HASH_BYTES)]

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash, merging the subtrees that it completes."""
        self.extend((leaf,))

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add these leaf hashes, one after the other, each merging the subtrees that it completes."""
        hashes = self.hashes
        for size, leaf in enumerate(leaves, self.size):
            whole = leaf
            while size & 1:
                whole = node_hash(hashes.pop(), whole)
                size >>= 1
            hashes.append(whole)
        self.size += len(leaves)

    @property
    def root(self) -> bytes:
        """The Merkle tree hash."""
        return _joined(self.hashes)

    @property
    def packed(self) -> bytes:
        """As it is stored."""
        return b"".join(self.hashes)

    def subtree(self, start: int) -> bytes:
        """The complete subtree that begins at leaf `start`."""
        return self.hashes[self._index(start)]

    def rest(self, start: int) -> bytes:
        """The hash over everything from leaf `start` on."""
        return _joined(self.hashes[self._index(start) :])

    def _index(self, start: int) -> int:
        """Which of the subtrees begins there: as many ones as the size has above it."""
        return (self.size >> (self.size ^ start).bit_length()).bit_count() if start < self.size else -1


def _joined(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The tree hash over these leaf hashes."""
    edge = Edge()
    edge.extend(leaves)
    return edge.root


# ── proving ──────────────────────────────────────────────────────────────────────────────────────────────
def consistency_proof(old: Edge, later: Sequence[bytes]) -> list[bytes]:
    """That the tree at `old` is the beginning of the one with the `later` leaf hashes behind it."""
    size = old.size + len(later)
    return _grown(old, later, 0, size, whole=True) if 0 < old.size < size else []


def _grown(old: Edge, later: Sequence[bytes], low: int, high: int, *, whole: bool) -> list[bytes]:
    """RFC 6962's SUBPROOF over the leaves `low` to `high`."""
    if high == old.size:
        return [] if whole else [old.rest(low)]
    middle = low + _split(high - low)
    if old.size <= middle:
        right = root_of(later[middle - old.size : high - old.size])
        return [*_grown(old, later, low, middle, whole=whole), right]
    return [*_grown(old, later, middle, high, whole=False), old.subtree(low)]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """That leaf `index` is in the tree over these leaf hashes. Costs as much as the tree has leaves."""
    low, high = 0, len(leaves)
    if not low <= index < high:
        raise ValueError("no such leaf")
    path = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(root_of(leaves[middle:high]))
            high = middle
        else:
            path.append(root_of(leaves[low:middle]))
            low = middle
    return path[::-1]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


# ── checking ─────────────────────────────────────────────────────────────────────────────────────────────
def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that a tree of size `old` is the beginning of one of size `new`."""
    if old == 0 or old >= new:
        right = EMPTY_ROOT if old == 0 else new_root
        return not proof and old <= new and old_root == right
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    first, second = old - 1, new - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    was = now = path[0]
    for other in path[1:]:
        if second == 0:
            return False
        if first & 1 or first == second:
            was, now = node_hash(other, was), node_hash(other, now)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            now = node_hash(now, other)
        first, second = first >> 1, second >> 1
    return second == 0 and was == old_root and now == new_root


def is_included(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that `leaf` stands at `index` in a tree of that size and root."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(other, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, other)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root

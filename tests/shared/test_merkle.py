"""Proofs of inclusion and of consistency, against RFC 6962's own recursive definitions."""

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.merkle import (
    Edge,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    root_of,
)

STRANGE = leaf_hash(b"strange")


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(str(n).encode()) for n in range(count)]


def edge_of(leaves: list[bytes]) -> Edge:
    edge = Edge()
    for leaf in leaves:
        edge.append(leaf)
    return edge


def defined_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(defined_root(leaves[:split]), defined_root(leaves[split:]))


def defined_proof(old: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """RFC 6962, section 2.1.2: SUBPROOF."""
    if old == len(leaves):
        return [] if whole else [defined_root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return [*defined_proof(old, leaves[:split], whole), defined_root(leaves[split:])]
    return [*defined_proof(old - split, leaves[split:], False), defined_root(leaves[:split])]


def test_every_small_tree_gives_the_proofs_that_the_standard_defines() -> None:
    for size in range(1, 66):
        leaves = leaves_of(size)
        for old in range(1, size):
            assert consistency_proof(edge_of(leaves[:old]), leaves[old:]) == defined_proof(old, leaves)


@settings(deadline=None)  # a busy machine may pause it
@given(st.data(), st.integers(1, 300))
def test_a_proof_of_consistency_holds_for_its_two_trees_and_no_others(data: st.DataObject, size: int) -> None:
    old = data.draw(st.integers(0, size))
    leaves = leaves_of(size)
    edge, root = edge_of(leaves[:old]), root_of(leaves)
    proof = consistency_proof(edge, leaves[old:])
    assert is_consistent(old, edge.root, size, root, proof)
    assert not is_consistent(old, STRANGE, size, root, proof)
    assert not is_consistent(old, edge.root, size, root, [*proof, STRANGE])
    assert not is_consistent(size + 1, edge.root, size, root, proof)
    if 0 < old < size:
        assert not is_consistent(old, edge.root, size, STRANGE, proof)
        assert not is_consistent(old, edge.root, size, root, proof[:-1])
        changed = data.draw(st.integers(0, len(proof) - 1))
        assert not is_consistent(
            old, edge.root, size, root, [*proof[:changed], STRANGE, *proof[changed + 1 :]]
        )


@settings(deadline=None)  # a busy machine may pause it
@given(st.data(), st.integers(2, 300))
def test_a_log_that_was_forked_has_no_proof(data: st.DataObject, size: int) -> None:
    """Two copies with the same beginning that went on differently: no proof leads from one to the other."""
    shared, old = sorted((data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size - 1))))
    ours = leaves_of(size)
    theirs = [*ours[:shared], *(leaf_hash(f"fork {n}".encode()) for n in range(size - shared))]
    proof = consistency_proof(edge_of(theirs[:old]), theirs[old:])
    if shared < old:
        assert not is_consistent(old, root_of(ours[:old]), size, root_of(theirs), proof)
    else:
        assert is_consistent(old, root_of(ours[:old]), size, root_of(theirs), proof)


@settings(deadline=None)  # a busy machine may pause it
@given(st.data(), st.integers(1, 300))
def test_a_proof_of_inclusion_holds_for_its_leaf_and_its_place(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = leaves_of(size)
    proof, root = inclusion_proof(leaves, index), root_of(leaves)
    assert is_included(leaves[index], index, size, root, proof)
    assert not is_included(STRANGE, index, size, root, proof)
    assert not is_included(leaves[index], index, size, STRANGE, proof)
    assert not is_included(leaves[index], index, size, root, [*proof, STRANGE])
    assert not is_included(leaves[index], size, size, root, proof)
    if size > 1:
        assert not is_included(leaves[index], (index + 1) % size, size, root, proof)
        assert not is_included(leaves[index], index, size, root, proof[:-1])


def test_nothing_is_included_in_an_empty_tree() -> None:
    try:
        inclusion_proof([], 0)
    except ValueError:
        return
    raise AssertionError


def test_a_tree_that_grew_needs_a_proof_of_it() -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(5)]
    assert not is_consistent(3, root_of(leaves[:3]), 5, root_of(leaves), [])

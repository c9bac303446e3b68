"""How the output of ``cargo tree`` is read."""

from __future__ import annotations

from cargo_image.tree import Node, parse_tree

PRINTED = """\
0operator v0.1.0 (/source/my (own) operator)\t
1derive v0.1.0 (proc-macro) (/source/derive)\t
1kube v5.0.0\tclient,default
2hyper-openssl v0.10.3\tdefault
3openssl v0.10.82\tdefault
4openssl-sys v0.9.118\t
5libc v0.2.191\tdefault,std
3openssl-sys v0.9.118\t (*)
2serde v1.0.229\tdefault,derive
1openssl-sys v0.9.118\t (*)
1fork v0.3.0 (https://git.example/fork?branch=main#0123abcd)\tdefault (*)
"""


def test_lines_become_packages() -> None:
    """Name, version, place and features are told apart, whatever the place is called."""
    tree = parse_tree(PRINTED)

    assert tree.roots == (Node(name="operator", version="0.1.0", place="/source/my (own) operator"),)
    assert tree.find("derive") == (Node(name="derive", version="0.1.0", place="/source/derive"),)
    assert tree.find("kube")[0].features == {"client", "default"}
    assert tree.find("fork")[0].place == "https://git.example/fork?branch=main#0123abcd"


def test_a_package_that_was_told_before_is_one_package() -> None:
    """``(*)`` marks no feature and no second package."""
    tree = parse_tree(PRINTED)

    (sys,) = tree.find("openssl-sys")
    assert sys.features == frozenset()
    assert [node.name for node in tree.needs[sys]] == ["libc"]


def test_the_shortest_chain_is_told() -> None:
    """From the program to the package, each with its version."""
    tree = parse_tree(PRINTED.replace("1openssl-sys v0.9.118\t (*)\n", ""))

    chain = tree.chain(tree.find("openssl-sys")[0])

    assert chain == ("operator 0.1.0", "kube 5.0.0", "hyper-openssl 0.10.3", "openssl-sys 0.9.118")


def test_a_direct_dependency_is_the_shortest_chain() -> None:
    """A package may be told first deep in the tree, and be needed directly all the same."""
    tree = parse_tree(PRINTED)

    assert tree.chain(tree.find("openssl-sys")[0]) == ("operator 0.1.0", "openssl-sys 0.9.118")


def test_the_same_package_with_other_features_is_another() -> None:
    """With build dependencies in the tree, a crate can be compiled twice."""
    tree = parse_tree("0a v0.1.0 (/a)\t\n1openssl-sys v0.9.118\t\n1b v1.0.0\t\n2openssl-sys v0.9.118\tvendored\n")

    assert [sorted(node.features) for node in tree.find("openssl-sys")] == [[], ["vendored"]]


def test_a_package_that_is_not_needed_has_no_chain() -> None:
    """Then the chain is empty, and nothing is found."""
    tree = parse_tree(PRINTED)

    assert tree.find("ring") == ()
    assert tree.chain(Node(name="ring", version="0.17.14")) == ()


def test_several_roots_are_kept_apart() -> None:
    """A tree of several packages has empty lines between them."""
    tree = parse_tree("0a v0.1.0 (/a)\t\n1x v1.0.0\t\n\n0b v0.1.0 (/b)\t\n1x v1.0.0\t (*)\n")

    assert [str(root) for root in tree.roots] == ["a 0.1.0", "b 0.1.0"]
    assert tree.chain(tree.find("x")[0]) == ("a 0.1.0", "x 1.0.0")

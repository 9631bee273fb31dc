from pathlib import Path

from lilong_gateway.links.ports import find_ports


def names(*patterns: str) -> list[str]:
    return [port.name for port in find_ports(patterns)]


def test_a_pattern_follows_what_comes_and_goes(tmp_path: Path) -> None:
    pattern = f"{tmp_path}/tty*"
    assert names(pattern) == []
    (tmp_path / "tty1").touch()
    assert names(pattern) == [f"{tmp_path}/tty1"]
    (tmp_path / "tty1").unlink()
    assert names(pattern) == []


def test_a_plain_name_and_an_address_are_there_even_when_absent(tmp_path: Path) -> None:
    wanted = [f"{tmp_path}/tty1", "socket://127.0.0.1:4000"]
    assert names(*wanted) == wanted


def test_a_link_that_comes_to_mean_another_device_is_another_port(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    link = tmp_path / "node"
    link.symlink_to("a")
    before = find_ports([str(link)])
    link.unlink()
    link.symlink_to("b")
    assert find_ports([str(link)]) != before


def test_one_device_under_two_names_is_served_once(tmp_path: Path) -> None:
    (tmp_path / "tty1").touch()
    (tmp_path / "by-id").symlink_to("tty1")
    assert names(f"{tmp_path}/tty*", f"{tmp_path}/by-id") == [f"{tmp_path}/tty1"]

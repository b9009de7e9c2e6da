"""Turns between processes: one writes, and who waited goes before who wrote last."""

import threading
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from shared.turn import PLACES, Turn


def test_one_has_the_turn(tmp_path: Path) -> None:
    one, two = Turn(tmp_path / "x.db", 0.05), Turn(tmp_path / "x.db", 0.05)
    with one, pytest.raises(TimeoutError), two:
        raise AssertionError
    with two:
        pass
    one.close()
    two.close()


def test_a_turn_is_given_back_after_an_error(tmp_path: Path) -> None:
    turn = Turn(tmp_path / "x.db", 0.05)
    for _ in range(2):
        with pytest.raises(KeyError), turn:
            raise KeyError
    turn.close()


def test_who_waits_is_not_starved_by_who_never_pauses(tmp_path: Path) -> None:
    busy, patient = Turn(tmp_path / "x.db", 5), Turn(tmp_path / "x.db", 5)
    done = threading.Event()
    turns = 0

    def hog() -> None:
        nonlocal turns
        while not done.is_set():
            with busy:
                turns += 1

    thread = threading.Thread(target=hog)
    thread.start()
    for _ in range(20):
        with patient:
            pass
    done.set()
    thread.join()
    assert turns  # it did write meanwhile
    busy.close()
    patient.close()


def test_those_who_wait_write_in_the_order_they_came(tmp_path: Path) -> None:
    database, order = tmp_path / "x.db", list[int]()
    turns = [Turn(database, 20) for _ in range(4)]

    def write(number: int) -> None:
        with turns[number]:
            order.append(number)

    waiting = []
    with turns[0]:
        # Each goes as far to the front as is free; the next begins when it stands there.
        for number, place in enumerate(reversed(PLACES[1:]), 1):
            waiting.append(threading.Thread(target=write, args=(number,)))
            waiting[-1].start()
            while not taken(database.with_suffix(place)):
                waiting[-1].join(0.001)
    with turns[0]:
        order.append(0)
    for thread in waiting:
        thread.join()
    assert order == [1, 2, 3, 0]
    for turn in turns:
        turn.close()


def taken(file: Path) -> bool:
    try:
        with FileLock(file, timeout=0):
            return False
    except Timeout:
        return True


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        Turn(tmp_path / "nowhere" / "x.db", 1)

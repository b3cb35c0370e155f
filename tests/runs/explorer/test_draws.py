"""Draws that pages ask for: whose they are, what replaces them, what refuses them."""

import asyncio
import json
from typing import Any

import pytest

import sfumato
from command_line import leave
from explorer_pages import Page, frame, page, read
from forked_worker import forked_workers
from sfumato.errors import ArgumentError, DataError
from sfumato.runs.explorer import messages
from sfumato.runs.explorer.messages import GiveUp, Order, Perform
from sfumato.runs.explorer.server import Explorer
from sfumato.runs.explorer.session import Outbox, Session
from sfumato.runs.run import Run

__all__ = ["forked_workers"]

FIT = {"type": "fit", "source": "toy", "name": "moons", "noise": None, "steps": 10}


def rows(request: int, **change: Any) -> dict[str, Any]:
    """The message of a page that asks for rows."""
    usual = {"type": "draw_rows", "request": request, "seed": 3, "rows": 10, "given": {}}
    return usual | change


class _Ordering(Session):
    """A session whose worker only writes down what it is ordered."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[Order] = []
        self.state, self._run = "done", "runs/orders"

    def _order(self, order: Order) -> None:
        self.orders.append(order)

    async def _start_worker(self) -> None:
        pass

    def draws(self) -> list[tuple[int, int]]:
        """Number and request of the draws that were ordered."""
        performed = (each for each in self.orders if isinstance(each, Perform))
        return [(each.number, each.asked.request) for each in performed]

    def given_up(self) -> list[int]:
        return [each.number for each in self.orders if isinstance(each, GiveUp)]


async def _ask(session: Session, outbox: Outbox, message: dict[str, Any]) -> None:
    await session.hear(json.dumps(message), outbox)


async def _sent(outbox: Outbox) -> list[Any]:
    """All that waits for a page, but for the state."""
    found: list[Any] = []
    while True:
        try:
            content = await asyncio.wait_for(outbox.next(), 0.01)
        except TimeoutError:
            return [each for each in found if isinstance(each, bytes) or each["type"] != "state"]
        found.append(content if isinstance(content, bytes) else json.loads(content))


def test_an_answer_goes_to_the_page_that_asked_alone() -> None:
    async def act() -> None:
        session = _Ordering()
        one, other = session.join(), session.join()
        await _ask(session, one, rows(5))
        assert session.draws() == [(1, 5)]
        session._drawn(1, b"rows")
        assert await _sent(one) == [b"rows"]
        assert await _sent(other) == []

    asyncio.run(act())


def test_a_newer_request_takes_the_place_of_the_one_before() -> None:
    async def act() -> None:
        session = _Ordering()
        one = session.join()
        for request in (1, 2, 3):
            await _ask(session, one, rows(request))
        assert session.draws() == [(1, 1)]
        assert session.given_up() == [1]
        # It ended before it heard of it: nobody waits for its answer.
        session._drawn(1, b"old")
        assert session.draws() == [(1, 1), (2, 3)]
        session._drawn(1, b"old again")
        session._drawn(2, b"new")
        assert await _sent(one) == [b"new"]

    asyncio.run(act())


def test_pages_take_turns() -> None:
    async def act() -> None:
        session = _Ordering()
        one, other, third = session.join(), session.join(), session.join()
        await _ask(session, one, rows(1))
        await _ask(session, other, rows(2))
        await _ask(session, third, rows(3))
        await _ask(session, one, rows(4))  # behind those who waited before
        for number, answer in enumerate((None, b"b", b"c", b"a"), start=1):
            session._drawn(number, answer)
        assert [request for _, request in session.draws()] == [1, 2, 3, 4]
        assert [await _sent(each) for each in (one, other, third)] == [[b"a"], [b"b"], [b"c"]]

    asyncio.run(act())


FILE = {"type": "make_page", "request": 8}


def test_a_draw_does_not_take_the_place_of_a_file_nor_the_other_way_round() -> None:
    async def act() -> None:
        session = _Ordering()
        one = session.join()
        await _ask(session, one, FILE)
        await _ask(session, one, rows(9))
        await _ask(session, one, rows(10))
        await _ask(session, one, {"type": "cancel"})
        await _ask(session, one, rows(11))
        assert session.draws() == [(1, 8)]
        assert session.given_up() == []
        session._drawn(1, b"page")
        assert session.draws() == [(1, 8), (2, 11)]
        await _ask(session, one, FILE)
        session._drawn(2, b"rows")
        # The file is large, and a page that reads slowly has both.
        assert await _sent(one) == [b"page", b"rows"]
        await _ask(session, one, FILE | {"request": 12})
        assert session.given_up() == [3]

    asyncio.run(act())


def test_of_a_page_that_has_gone_no_file_is_made() -> None:
    async def act() -> None:
        session = _Ordering()
        one = session.join()
        await _ask(session, one, FILE)
        await _ask(session, one, rows(9))
        session.leave(one)
        assert session.given_up() == [1]
        session._drawn(1, None)
        assert session.draws() == [(1, 8)]

    asyncio.run(act())


def test_what_a_page_that_has_gone_asked_for_is_given_up() -> None:
    async def act() -> None:
        session = _Ordering()
        one, other = session.join(), session.join()
        await _ask(session, one, rows(1))
        await _ask(session, other, rows(2))
        session.leave(other)
        session.leave(one)
        assert session.given_up() == [1]
        session._drawn(1, None)
        assert session.draws() == [(1, 1)]

    asyncio.run(act())


def test_a_refusal_says_of_which_request_it_is() -> None:
    async def act() -> None:
        session = _Ordering()
        one = session.join()
        await _ask(session, one, rows(6))
        session._drawn(1, DataError("no such column.", code="absent", column="age"))
        values = {"column": "age"}
        reason = {"message": "no such column.", "code": "absent", "values": values}
        assert await _sent(one) == [{"type": "error", "reason": reason, "request": 6}]

    asyncio.run(act())


def test_while_a_fit_runs_nothing_is_drawn() -> None:
    async def act() -> None:
        session = _Ordering()
        one, other = session.join(), session.join()
        await _ask(session, one, rows(1))
        await _ask(session, other, rows(2))
        await _ask(session, other, FIT)
        assert session.given_up() == [1]
        await _ask(session, other, rows(3))
        fitting = "a fit is running; stop it first."
        refused = [(each["request"], each["reason"]["message"]) for each in await _sent(one)]
        assert refused == [(1, fitting)]
        refused = [(each["request"], each["reason"]["message"]) for each in await _sent(other)]
        assert refused == [(2, fitting), (3, fitting)]
        session._drawn(1, None)
        assert session.draws() == [(1, 1)]
        with pytest.raises(ArgumentError, match="a fit is running"):
            await _ask(session, one, FIT)

    asyncio.run(act())


def test_without_a_run_there_is_nothing_to_draw_from() -> None:
    async def act() -> None:
        session = Session()
        one = session.join()
        await _ask(session, one, rows(1))
        (refused,) = await _sent(one)
        assert refused["reason"]["message"] == "there is no run to draw from yet."

    asyncio.run(act())


def test_of_a_worker_that_dies_it_is_said_to_who_waits() -> None:
    async def act() -> None:
        session = _Ordering()
        one = session.join()
        await _ask(session, one, rows(1))
        session._lost(-9)
        assert {"request": 1} in [{"request": each["request"]} for each in await _sent(one)]
        await _ask(session, one, rows(2))  # for the next worker
        assert session.draws() == [(1, 1), (2, 2)]

    asyncio.run(act())


# ------------------------------------------------------------------------------ the whole of it


def _answer(opened: Page) -> tuple[dict[str, Any], Any]:
    """The next answer, its rows as pandas has them."""
    while True:
        header, arrays = read(opened.until_payload())
        if header["kind"] == "answer":
            columns = read(opened.payloads[0])[0]["columns"]
            return header, frame(arrays, "rows", columns)


@pytest.mark.usefixtures("forked_workers")
def test_the_worker_draws_for_pages_and_fits_a_table(
    of_orders: Run, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert of_orders.folder is not None
    with Explorer(of_orders.folder) as served, page(served.address) as one:
        with page(served.address) as other:
            other.until_payload()
            one.until_payload()
            one.send(rows(1, given={"city": "Paris"}))
            header, found = _answer(one)
            expected = of_orders.sample(10, seed=3, given={"city": "Paris"}).to_pandas()
            assert header["request"] == 1
            assert found["price"].tolist() == expected["price"].tolist()
            one.send(rows(2, given={"city": "Rome"}))
            refused = one.until(lambda text: text["type"] == "error")
            assert (refused["request"], "never was 'Rome'" in refused["reason"]["message"]) == (
                2,
                True,
            )
            other.send(rows(9))
            assert _answer(other)[0]["request"] == 9
            assert len(other.payloads) == 2
            assert not [text for text in other.texts if text["type"] == "error"]

        # A table is fitted as points are, shown on the way, and drawn from in the end.
        text = of_orders.folder.with_name("orders.csv").read_text("utf-8")
        fit = {"type": "fit", "source": "csv", "name": "new.csv", "text": text, "steps": 20}
        one.send(fit)
        one.until_state("fitting")
        one.send(rows(3))
        assert "a fit is running" in one.until_error()
        done = one.until_state("done")
        assert read(one.until_payload())[0]["name"] == "new-001.csv"
        one.send(rows(4))
        header, found = _answer(one)
        made = sfumato.open(tmp_path / done["folder"])
        assert header["request"] == 4
        assert found["city"].tolist() == made.sample(10, seed=3).to_pandas()["city"].tolist()
        # It can be stopped after each few steps, and the command has as many in a group.
        assert [record["step"] for record in made.records()] == [10, 20]
        assert leave(f"{done['command'].removeprefix('sfumato ')} --out again --quiet") == 0
        again = sfumato.open("again").sample(10, seed=3).to_pandas()
        assert again["city"].tolist() == found["city"].tolist()


def test_an_order_goes_through_the_pipe_as_it_is() -> None:
    asked = messages.request(json.dumps(rows(1, given={"a": 1, "b": 0.5, "c": "x", "d": None})))
    assert isinstance(asked, messages.DrawRows)
    order = Perform(number=1, path="runs/a", asked=asked)
    again = messages.ORDERS.validate_json(order.model_dump_json())
    assert again == order
    assert isinstance(again, Perform)
    assert isinstance(again.asked, messages.DrawRows)
    assert [type(each) for each in again.asked.given.values()] == [int, float, str, type(None)]

"""A page's messages: those that are understood, and what is said of the others."""

import ast
import asyncio
import json
import re
from pathlib import Path

import pytest

from sfumato.errors import ArgumentError, SfumatoError
from sfumato.runs.explorer import messages
from sfumato.runs.explorer.session import Outbox, Session

ROW = [0.5, 1]
DRAWN = {"type": "fit", "source": "drawn", "points": [ROW] * 100, "steps": 10}
TOY = {"type": "fit", "source": "toy", "name": "moons", "noise": None, "steps": 10}
CSV = {"type": "fit", "source": "csv", "name": "a.csv", "text": "x\n1\n", "steps": 10}
GIVEN = {"age": 40, "weight": 0.5, "sex": "F", "born": None}
ROWS = {"type": "draw_rows", "request": 1, "seed": 2**53 - 1, "rows": 5000, "given": GIVEN}
FILL = {"type": "fill_row", "request": 0, "seed": 0, "draws": 500, "row": 3, "columns": ["age"]}


@pytest.mark.parametrize("message", [DRAWN, TOY, TOY | {"noise": 0.1}, CSV, ROWS, FILL])
def test_what_is_right_is_taken_as_it_is(message: dict[str, object]) -> None:
    assert messages.request(json.dumps(message)).model_dump() == message


def test_stop_and_go_on_are_words_of_their_own() -> None:
    assert isinstance(messages.request('{"type":"stop"}'), messages.Stop)
    assert isinstance(messages.request('{"type":"go_on"}'), messages.GoOn)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Invalid JSON"),
        ("stop", "Invalid JSON"),
        ("[]", "object"),
        ("{}", "Unable to extract tag"),
        ('{"type":"eval"}', "eval"),
        ('{"type":"fit","source":"path"}', "path"),
        ('{"type":"stop","path":"/etc/passwd"}', "path: Extra inputs"),
        (json.dumps(DRAWN | {"points": [ROW] * 99}), "at least 100"),
        (json.dumps(DRAWN | {"points": [ROW] * 20_001}), "at most 20000"),
        (json.dumps(DRAWN | {"points": [[]] * 100}), "at least 1"),
        (json.dumps(DRAWN | {"points": [[1, 2, 3, 4]] * 100}), "at most 3"),
        (json.dumps(DRAWN | {"points": [*[ROW] * 100, [1]]}), "1 to 2 columns"),
        (json.dumps(DRAWN | {"points": [*[ROW] * 100, [1, float("nan")]]}), "points: 100: 1: "),
        (json.dumps(DRAWN | {"points": [*[ROW] * 100, [1, float("inf")]]}), "finite"),
        (json.dumps(DRAWN | {"points": [*[ROW] * 100, [1, "2"]]}), "valid number"),
        (json.dumps(DRAWN | {"points": [*[ROW] * 100, [1, None]]}), "valid number"),
        (json.dumps(DRAWN | {"points": "all"}), "valid array"),
        (json.dumps(DRAWN | {"steps": 0}), "greater than or equal to 1"),
        (json.dumps(DRAWN | {"steps": 100_001}), "less than or equal to 100000"),
        (json.dumps(DRAWN | {"steps": 10.5}), "valid integer"),
        (json.dumps(DRAWN | {"steps": True}), "valid integer"),
        (json.dumps({"type": "fit", "source": "drawn", "steps": 10}), "points: Field required"),
        (json.dumps(TOY | {"name": "mons"}), "did you mean 'moons'"),
        (json.dumps(TOY | {"name": "/etc/passwd"}), "unknown toy set"),
        (json.dumps(TOY | {"noise": -1}), "greater than or equal to 0"),
        (json.dumps(TOY | {"noise": float("nan")}), "noise"),
        (json.dumps(CSV | {"text": 3}), "valid string"),
        (json.dumps(CSV | {"name": "x" * 256}), "at most 255"),
        (json.dumps(ROWS | {"rows": 0}), "rows: Input should be greater than or equal to 1"),
        (json.dumps(ROWS | {"rows": 5001}), "less than or equal to 5000"),
        (json.dumps(ROWS | {"rows": "all"}), "valid integer"),
        (json.dumps(ROWS | {"seed": -1}), "seed: Input should be greater than or equal to 0"),
        (json.dumps(ROWS | {"seed": 2**53}), "seed: Input should be less than or equal"),
        (json.dumps(ROWS | {"request": None}), "request: Input should be a valid integer"),
        (json.dumps(ROWS | {"given": {"age": [40]}}), "given: age: "),
        (json.dumps(ROWS | {"given": {"age": True}}), "given: age: "),
        (json.dumps(ROWS | {"given": {"age": float("inf")}}), "given: age: "),
        (json.dumps(ROWS | {"given": {"age": "x" * 10_001}}), "given: age: "),
        (json.dumps(ROWS | {"given": {"x" * 1001: 1}}), "given: xxx"),
        (json.dumps(ROWS | {"given": {str(k): 1 for k in range(1001)}}), "at most 1000"),
        (json.dumps(ROWS | {"given": ["age"]}), "given: "),
        (json.dumps(ROWS | {"path": "/etc/passwd"}), "path: Extra inputs"),
        (json.dumps(FILL | {"draws": 501}), "less than or equal to 500"),
        (json.dumps(FILL | {"draws": 0}), "greater than or equal to 1"),
        (json.dumps(FILL | {"row": -1}), "greater than or equal to 0"),
        (json.dumps(FILL | {"row": 1.5}), "valid integer"),
        (json.dumps(FILL | {"columns": "age"}), "columns: Input should be a valid array"),
        (json.dumps(FILL | {"columns": ["a"] * 1001}), "at most 1000"),
        (json.dumps(FILL | {"columns": [1]}), "valid string"),
        ('{"type":"stop"' + " " * 100 + "x", "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        (json.dumps({"type": "x" * 10**6}), "x" * 100),
        (json.dumps({"type": "stop", "y" * 10**6: 1}), "y" * 100),
    ],
)
def test_what_is_wrong_is_one_line_that_says_where(text: str, reason: str) -> None:
    with pytest.raises(ArgumentError) as error:
        messages.request(text)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_only_the_newest_of_a_kind_waits_for_a_slow_page() -> None:
    async def sent() -> list[str | bytes]:
        outbox = Outbox()
        for k in range(1000):
            outbox.put("payload", b"%d" % k)
            outbox.put("progress", f"{k}")
            outbox.refuse(SfumatoError(f"{k}"))
        outbox.put("state", "done")
        found: list[str | bytes] = []
        while not found or found[-1] != "done":
            found.append(await outbox.next())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outbox.next(), 0.01)
        return found

    *refusals, payload, progress, last, state = asyncio.run(sent())
    said = [json.loads(each)["reason"]["message"] for each in (*refusals, last)]
    assert said == [f"{k}" for k in range(992, 1000)]
    assert (payload, progress, state) == (b"999", "999", "done")


def test_a_worker_that_cannot_be_started_is_said_and_nothing_is_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    async def told() -> list[dict[str, object]]:
        session = Session()
        await session.start(None)
        outbox = session.join()
        await session.hear(json.dumps(DRAWN), outbox)
        assert await session.close() == ""
        return [json.loads(await outbox.next()) for _ in range(2)]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    state, refusal = asyncio.run(told())
    assert state["state"] == "empty"
    assert "cannot be started: Cannot allocate memory" in str(refusal["reason"])


def _values(call: ast.Call) -> tuple[str, set[str]] | None:
    """The code of an error, and the names of the values that are given with it, where all are."""
    given = {each.arg: each.value for each in call.keywords}
    code = given.get("code")
    if not isinstance(code, ast.Constant) or not code.value or None in given:
        return None
    names = {name for name in given if name is not None} - {"code", "message", "text"}
    if "values" in given:  # of a word to the page, or of a fault of a file
        values = given["values"]
        if not isinstance(values, ast.Dict):
            return None
        names |= {str(key.value) for key in values.keys if isinstance(key, ast.Constant)}
    return str(code.value), names


def test_whatever_a_reason_on_the_page_names_is_sent_with_it() -> None:
    top = Path(__file__).parents[3]
    page = (top / "explorer" / "src" / "reasons.ts").read_text(encoding="utf-8")
    wanted = {
        code: {name.strip() for name in names.split(",")}
        for code, names in re.findall(r'^  "([a-z-]+)": \(\{ (.+?) \}\)', page, re.MULTILINE)
    }
    calls = [
        node
        for path in (top / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    found = [each for call in calls if (each := _values(call)) is not None]
    assert {code for code, _ in found} > {"odd-cell", "in-use", "diverged", "from-system"}
    for code, values in found:
        # The worker adds the name of the file that the user knows.
        assert wanted.get(code, set()) <= values | {"file"}, code


def test_the_page_says_every_reason_that_has_a_code() -> None:
    top = Path(__file__).parents[3]
    page = (top / "explorer" / "src" / "reasons.ts").read_text(encoding="utf-8")
    known = re.findall(r'^  "([a-z-]+)": \(', page, re.MULTILINE)
    python = "".join(path.read_text(encoding="utf-8") for path in (top / "src").rglob("*.py"))
    codes = re.findall(r'\bcode="([a-z-]+)"', python)
    assert len(known) == len(set(known))
    assert set(known) == set(codes)


def test_a_page_is_asked_for_without_saying_where_or_of_what() -> None:
    asked = {"type": "make_page", "request": 3}
    assert isinstance(messages.request(json.dumps(asked)), messages.MakePage)
    for more in ({"path": "/etc/passwd"}, {"name": "../page.html"}, {"to": "page.html"}):
        with pytest.raises(ArgumentError, match="Extra inputs"):
            messages.request(json.dumps(asked | more))

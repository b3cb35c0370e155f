"""What the explorer's page, its server and the fitting worker say to one another.

Pages and server speak over a WebSocket: JSON text, and payloads and answers (`binary.py`) as binary
frames. Server and worker speak over a pipe: orders are lines of JSON; each event is a frame of one
letter, `t` for JSON, `p` for a payload or `a` for an answer, its length in four bytes, and its
content.
"""

import struct
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from sfumato.data.toy import TOY_SETS, toy_set
from sfumato.errors import ArgumentError, SfumatoError

LARGEST = 2**53 - 1  # of the integers that a page has exactly
MOST_STEPS = 100_000
LEAST_ROWS, MOST_ROWS = 100, 20_000

State = Literal["empty", "fitting", "stopped", "done"]


class _Message(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)


# ----------------------------------------------------------------------------- page to server

# None: as many as the recipe of the data takes.
Steps = Annotated[int, Field(ge=1, le=MOST_STEPS)] | None


class FitDrawn(_Message):
    """Fit to points that were drawn by hand."""

    type: Literal["fit"]
    source: Literal["drawn"]
    points: Annotated[
        list[Annotated[list[FiniteFloat], Field(min_length=1, max_length=3)]],
        Field(min_length=LEAST_ROWS, max_length=MOST_ROWS),
    ]
    steps: Steps


class FitToy(_Message):
    """Fit to a toy set."""

    type: Literal["fit"]
    source: Literal["toy"]
    name: Annotated[str, Field(max_length=100)]
    noise: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None
    steps: Steps


class FitCsv(_Message):
    """Fit to a file of rows, whose content is here."""

    type: Literal["fit"]
    source: Literal["csv"]
    name: Annotated[str, Field(max_length=255)]
    text: str
    steps: Steps


class Stop(_Message):
    """Stop the fit that is running, and save it."""

    type: Literal["stop"]


class GoOn(_Message):
    """Go on with the fit that was stopped."""

    type: Literal["go_on"]


Number = Annotated[int, Field(ge=0, le=LARGEST)]
Name = Annotated[str, Field(max_length=1000)]
Value = (
    Annotated[int, Field(ge=-LARGEST, le=LARGEST)]  # a larger one is the float next to it
    | FiniteFloat
    | Annotated[str, Field(max_length=10_000)]
    | None
)


class DrawRows(_Message):
    """Draw rows of a table, all with the values given; None is a missing value."""

    type: Literal["draw_rows"]
    request: Number
    seed: Number
    rows: Annotated[int, Field(ge=1, le=5000)]
    given: Annotated[dict[Name, Value], Field(max_length=1000)]


class FillRow(_Message):
    """Empty some columns of a real row that the page holds, and fill it in many ways."""

    type: Literal["fill_row"]
    request: Number
    seed: Number
    draws: Annotated[int, Field(ge=1, le=500)]
    row: Number
    columns: Annotated[list[Name], Field(max_length=1000)]


Guidance = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
SamplingSteps = Annotated[int, Field(ge=1, le=1000)]


class DrawPictures(_Message):
    """Draw pictures, of a class and with guidance where the model has classes."""

    type: Literal["draw_pictures"]
    request: Number
    seed: Number
    pictures: Annotated[int, Field(ge=1, le=64)]
    label: Name | None
    guidance: Guidance | None
    steps: SamplingSteps | None
    calls: Annotated[int, Field(ge=0, le=1000)] | None


class FillPicture(_Message):
    """Fill in the part of a real picture that is 1 in the mask: base64 of a byte a pixel."""

    type: Literal["fill_picture"]
    request: Number
    seed: Number
    draws: Annotated[int, Field(ge=1, le=16)]
    picture: Number
    mask: Annotated[str, Field(max_length=2**22)]
    label: Name | None
    guidance: Guidance | None
    steps: SamplingSteps | None


class MakePage(_Message):
    """Make the page of a file, which needs no server; it does not take the place of a draw."""

    type: Literal["make_page"]
    request: Number


class Cancel(_Message):
    """Nobody waits any more for what this page asked to be drawn."""

    type: Literal["cancel"]


Fit = Annotated[FitDrawn | FitToy | FitCsv, Field(discriminator="source")]
Draw = DrawRows | FillRow | DrawPictures | FillPicture
Asked = Annotated[Draw | MakePage, Field(discriminator="type")]
Request = FitDrawn | FitToy | FitCsv | Stop | GoOn | Cancel | Draw | MakePage
_REQUEST: TypeAdapter[Request] = TypeAdapter(
    Annotated[Fit | Stop | GoOn | Cancel | Draw | MakePage, Field(discriminator="type")]
)


def request(text: str) -> Request:
    """A page's message.

    Raises:
        ArgumentError: if it is none, says where.
    """
    try:
        found = _REQUEST.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        said = "".join(f"{part}: " for part in first["loc"]) + first["msg"]
        raise ArgumentError(
            f"the message is not understood: {said[:300]}.", code="not-understood", said=said[:300]
        ) from error
    if isinstance(found, FitToy):
        toy_set(found.name)
    if isinstance(found, FitDrawn):
        widths = {len(row) for row in found.points}
        if len(widths) > 1:
            raise ArgumentError(
                f"the points have {min(widths)} to {max(widths)} columns; all need the same number."
            )
    return found


# ----------------------------------------------------------------------------- server to page


class Reached(_Message):
    """The training step that a run has reached, and how many it is to have."""

    step: int
    steps: int


class Session(_Message):
    """Where the one session stands that all pages see."""

    type: Literal["state"] = "state"
    state: State
    folder: str | None
    command: str | None
    reached: Reached | None
    toys: tuple[str, ...] = tuple(name for name, each in TOY_SETS.items() if len(each.columns) == 2)


class Progress(_Message):
    """How far a fit is: steps a second, and seconds left."""

    type: Literal["progress"] = "progress"
    step: int
    steps: int
    loss: float
    rate: float
    left: float


class Drawing(_Message):
    """How far a draw is, and seconds left."""

    type: Literal["drawing"] = "drawing"
    request: int
    done: int
    of: int
    left: float


class Reason(_Message):
    """Why something was not done: a mistake's message, code and values, see `SfumatoError`."""

    message: str
    code: str = ""
    values: dict[str, str | int] = {}

    @classmethod
    def of(cls, error: SfumatoError) -> "Reason":
        """Of a mistake."""
        return cls(message=str(error), code=error.code, values=dict(error.values))


class Refusal(_Message):
    """Why something was not done; of a draw, which one."""

    type: Literal["error"] = "error"
    reason: Reason
    request: int | None = None


# --------------------------------------------------------------------------- server to worker


class Open(_Message):
    """Open a run or a model file."""

    do: Literal["open"] = "open"
    path: str


class Begin(_Message):
    """Fit."""

    do: Literal["begin"] = "begin"
    fit: Fit


class Resume(_Message):
    """Go on with the run in a folder."""

    do: Literal["resume"] = "resume"
    folder: str


class Halt(_Message):
    """Stop what is being fitted, and save it."""

    do: Literal["halt"] = "halt"


class Perform(_Message):
    """Draw or make what a page asked for of the run in `path`; numbers of orders rise."""

    do: Literal["draw"] = "draw"
    number: int
    path: str
    asked: Asked


class GiveUp(_Message):
    """Nobody waits any more for draws up to this number."""

    do: Literal["give_up"] = "give_up"
    number: int


Order = Open | Begin | Resume | Halt | Perform | GiveUp
ORDERS: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="do")])


# --------------------------------------------------------------------------- worker to server


class Ready(_Message):
    """PyTorch is there."""

    type: Literal["ready"] = "ready"


class Opened(_Message):
    """A run was opened; its payload went before."""

    type: Literal["opened"] = "opened"
    state: State
    folder: str | None
    command: str | None
    reached: Reached | None


class Begun(_Message):
    """A run's folder is made, and the command that makes such a run anew; or it is gone on with."""

    type: Literal["begun"] = "begun"
    folder: str
    command: str | None


class Ended(_Message):
    """A fit was stopped or is done, and is saved; its last payload follows."""

    type: Literal["ended"] = "ended"
    state: Literal["stopped", "done"]
    message: str
    reached: Reached


class Failed(_Message):
    """A user's mistake, or a full disk; `exit_code` as in `errors`."""

    type: Literal["failed"] = "failed"
    reason: Reason
    exit_code: int


class GivenUp(_Message):
    """A draw was given up."""

    type: Literal["given_up"] = "given_up"
    number: int


class Refused(_Message):
    """What a page asked for cannot be drawn."""

    type: Literal["refused"] = "refused"
    number: int
    reason: Reason


class Advanced(_Message):
    """How far a draw is, and seconds left."""

    type: Literal["advanced"] = "advanced"
    number: int
    done: int
    of: int
    left: float


Event = Ready | Opened | Begun | Ended | Failed | Progress | Advanced | GivenUp | Refused
EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])

# Of a frame: its letter and its length. An answer begins with the number of its draw.
HEAD, NUMBER = struct.Struct("<cI"), struct.Struct("<Q")
TEXT, PAYLOAD, ANSWER = b"t", b"p", b"a"


def frame(content: Event | bytes, number: int | None = None) -> bytes:
    """A frame of the pipe from the worker.

    Args:
        content: an event, a payload or an answer.
        number: of the draw that is answered.
    """
    if not isinstance(content, bytes):
        text = content.model_dump_json().encode()
        return HEAD.pack(TEXT, len(text)) + text
    if number is None:
        return HEAD.pack(PAYLOAD, len(content)) + content
    return HEAD.pack(ANSWER, NUMBER.size + len(content)) + NUMBER.pack(number) + content

"""What a Reason looks like on the wire; the rest are records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip import reason
from aywa.core.sip.events import Reason
from aywa.core.sip.headers import Headers
from tests.core.feed import examples


def test_a_reason_as_it_is_written() -> None:
    assert str(Reason("Q.850", 16)) == "Q.850;cause=16"
    assert str(Reason("SIP", 487, 'a "b" \\')) == "SIP;cause=487;text=\"a 'b' \""


@examples(100)
@given(
    st.sampled_from(("SIP", "Q.850")), st.integers(0, 999), st.text(st.characters(codec="ascii"), max_size=50)
)
def test_what_is_written_is_one_line_and_read_again(protocol: str, cause: int, text: str) -> None:
    read = reason.read(Headers([("Reason", str(Reason(protocol, cause, text)))]))
    assert read is not None
    assert (read.protocol, read.cause) == (protocol, cause)

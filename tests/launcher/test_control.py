from hypothesis import given
from hypothesis import strategies as st

from llamaedge_launcher.control import (
    Ended,
    Event,
    Failed,
    Listening,
    Statistics,
    WorkerConfig,
    decode_event,
    encode_event,
)

texts = st.lists(st.text()).map(tuple)


numbers = st.dictionaries(st.text(), st.dictionaries(st.text(), st.integers()))
events = st.builds(Listening), st.builds(Ended), st.builds(Failed), st.builds(Statistics, numbers)


@given(st.one_of(events))
def test_an_event_is_one_line_and_comes_back(event: Event) -> None:
    line = encode_event(event)
    assert line.count(b"\n") == 1
    assert decode_event(line) == event


@given(
    st.builds(
        WorkerConfig,
        args=texts,
        dirs=texts,
        preloads=texts,
        env=st.dictionaries(st.text(), st.text()),
    )
)
def test_a_configuration_is_one_line_and_comes_back(config: WorkerConfig) -> None:
    line = config.encode()
    assert line.count(b"\n") == 1
    assert WorkerConfig.decode(line) == config

from hypothesis import given
from hypothesis import strategies as st

from llamaedge_launcher.control import (
    Answered,
    Ended,
    Event,
    Failed,
    Listening,
    Question,
    Statistics,
    WorkerConfig,
    decode_event,
    encode_event,
)

texts = st.lists(st.text()).map(tuple)


numbers = st.dictionaries(st.text(), st.dictionaries(st.text(), st.integers()))
values = st.dictionaries(st.text(), st.lists(st.integers() | st.text()))
answers = st.builds(Answered, found=values)
events = (
    answers,
    st.builds(Listening),
    st.builds(Ended),
    st.builds(Failed),
    st.builds(Statistics, numbers),
)


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


@given(st.builds(Question, given=values))
def test_a_question_is_one_line_and_comes_back(question: Question) -> None:
    line = question.encode()
    assert line.count(b"\n") == 1
    assert Question.decode(line) == question

"""A template is a stranger's program: what it may take is bounded, and it ends nothing else."""

import re
import signal
from contextlib import closing
from pathlib import Path

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.chat.renderer import (
    BrokenTemplate,
    Renderer,
    TemplateFailure,
    TemplateRefusal,
)

from ..models import architectures, tiny

ENDLESS = {
    "a loop": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "one expression": "{{ (x ** 100000000) % 7 }}",
}
LARGE = {
    "a repeated text": "{{ x ~ 'a' * 10 ** 9 }}",
    "a folded text": "{{ 'a' * 10 ** 9 }}",
    "a width": "{{ 'a'.ljust(10 ** 9) }}",
    "a filter's width": "{{ 'a' | center(10 ** 9) }}",
    "a format": "{{ '%1000000000d' % 1 }}",
    "a format of braces": "{{ '{:1000000000d}'.format(1) }}",
    "an indent": "{{ [1] | tojson(indent=10 ** 9) }}",
    "a range": "{{ range(10 ** 9) | list }}",
    "a product": "{{ ([0] * 10 ** 9) | length }}",
    "many pieces": "{% set a = 'a' * 10 ** 6 %}{% for b in range(1000) %}{{ a }}{% endfor %}",
    "a doubling": "{% set n = namespace(a='a') %}{% for b in range(60) %}"
    "{% set n.a = n.a ~ n.a %}{% endfor %}",
}
DEEP = {
    "a macro": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "a loop": "{% for a in [[[]]] recursive %}{{ loop([a]) }}{% endfor %}",
}
BROKEN = {
    "no end": "{% if a %}",
    "an unknown tag": "{% evil %}",
    "nested brackets": "{{ " + "(" * 100_000 + ")" * 100_000 + " }}",
    "nested blocks": "{% if a %}" * 5000 + "{% endif %}" * 5000,
}
ESCAPES = (
    "{{ ''.__class__.__mro__ }}",
    "{{ raise_exception.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.system('true') }}",
    "{{ messages.append(1) }}",
    "{{ '{0.__class__}'.format(messages) }}",
)


@pytest.fixture(scope="module")
def renderer():
    renderer = Renderer()
    yield renderer
    renderer.close()


def test_the_process_is_one_whether_it_begins_early_or_not() -> None:
    with closing(Renderer()) as renderer:
        renderer.begin()
        begun = renderer._process
        assert begun is not None
        assert renderer.render("{{ x }}", {"x": 1}) == "1"
        renderer.begin()
        assert renderer._process is begun
        begun.kill()
        begun.wait()
        assert renderer.render("{{ x }}", {"x": 1}) == "1"


def test_it_begins_early_for_a_model_with_a_template(tmp_path: Path) -> None:
    with closing(GgmlBackend()) as backend:
        backend.preload(tiny.bert(tmp_path / "bert.gguf"))
        backend.begin_rendering()
        assert backend._renderer._process is None
        backend.preload(architectures.model(tmp_path / "llama.gguf", "llama"))
        backend.begin_rendering()
        assert backend._renderer._process is not None


@pytest.mark.parametrize("name", ENDLESS)
def test_what_computes_for_ever_is_ended(renderer: Renderer, name: str) -> None:
    with pytest.raises(TemplateFailure, match="computed for more than 2 seconds"):
        renderer.render(ENDLESS[name], {"x": 99})
    assert renderer.render("{{ x }}", {"x": 1}) == "1"


@pytest.mark.parametrize("name", LARGE)
def test_what_takes_the_memory_is_refused(renderer: Renderer, name: str) -> None:
    with pytest.raises((TemplateFailure, BrokenTemplate), match=r"memory|Memory|characters|Range"):
        renderer.render(LARGE[name], {"x": 99})
    assert renderer.render("{{ x }}", {"x": 1}) == "1"


@pytest.mark.parametrize("name", DEEP)
def test_what_calls_itself_is_refused(renderer: Renderer, name: str) -> None:
    with pytest.raises(TemplateFailure, match="too deeply"):
        renderer.render(DEEP[name], {})


@pytest.mark.parametrize("name", BROKEN)
def test_a_template_that_cannot_be_read_is_told_from_one_that_refuses(
    renderer: Renderer, name: str
) -> None:
    with pytest.raises((BrokenTemplate, TemplateFailure)):
        renderer.render(BROKEN[name], {})
    assert renderer.render("{{ x }}", {"x": 1}) == "1"


@pytest.mark.parametrize("template", ESCAPES)
def test_a_template_does_not_get_out(renderer: Renderer, template: str) -> None:
    try:
        text = renderer.render(template, {"messages": []})
    except TemplateFailure as error:
        assert re.search("SecurityError|UndefinedError", str(error))
    else:
        assert text == ""


def test_the_refusal_of_a_template_is_its_own_text(renderer: Renderer) -> None:
    with pytest.raises(TemplateRefusal, match="no system turn here"):
        renderer.render("{{ raise_exception('no system turn here') }}", {})


def test_an_interrupt_of_the_terminal_is_not_for_the_renderer() -> None:
    renderer = Renderer()
    render = "{{ x }}"
    assert renderer.render(render, {"x": 1}) == "1"
    process = renderer._process
    assert process
    process.send_signal(signal.SIGINT)
    assert renderer.render(render, {"x": 2}) == "2"
    assert process.poll() is None
    renderer.close()
    assert process.poll() is not None

"""Reads facts out of a text, as fields of a schema that the answer is sure to follow.

usage: python examples/extract.py http://127.0.0.1:8080/v1 'Ada was born in London in 1815.'
"""

import sys

from openai import OpenAI
from pydantic import BaseModel, Field

QUESTION = "Who is this about, and where and when were they born? Text: {text}"


class Person(BaseModel):
    """What is looked for."""

    name: str = Field(max_length=40)
    born_in: str = Field(max_length=40)
    year: int = Field(ge=0, le=2100)


def extract(client: OpenAI, text: str) -> Person:
    """The person that ``text`` tells of; a small model may be wrong, but never in the form."""
    answer = client.chat.completions.parse(
        model="default",
        messages=[{"role": "user", "content": QUESTION.format(text=text)}],
        response_format=Person,
        temperature=0,
        max_tokens=200,
    )
    person = answer.choices[0].message.parsed
    if person is None:
        raise SystemExit("the answer was cut off")
    return person


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print(extract(OpenAI(base_url=sys.argv[1], api_key="none"), sys.argv[2]))

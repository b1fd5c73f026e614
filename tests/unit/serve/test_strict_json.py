"""What the strict reading of JSON takes and refuses at its limits."""

import pytest

from serve.errors import Problem
from serve.strict_json import INTEGER_DIGITS_MAX, parse_strict

LARGEST = 10**INTEGER_DIGITS_MAX - 1


@pytest.mark.parametrize("number", [LARGEST, -LARGEST, 0])
def test_a_sign_is_no_digit(number: int) -> None:
    assert parse_strict(b'{"n": %d}' % number) == {"n": number}


@pytest.mark.parametrize("number", [LARGEST + 1, -LARGEST - 1])
def test_a_digit_too_many_is_out_of_range(number: int) -> None:
    with pytest.raises(Problem) as refused:
        parse_strict(b'{"n": %d}' % number)
    assert refused.value.status_code == 422

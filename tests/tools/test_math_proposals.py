"""Recognising mathematics in what people write, in four languages, and leaving everything else alone."""

from __future__ import annotations

import time
import timeit

import pytest

from backend.models.run import Owner, RunContext
from backend.tools.math_calculator import Arguments, MathCalculator
from backend.tools.math_temperatures import temperature_of
from backend.utils.math_text import find_expressions
from tests.fakes.worker import InlineWorker

CONTEXT = RunContext(Owner("default", "u1"), "run", None, "request")

PROPOSED: tuple[tuple[str, list[str]], ...] = (
    ("what is 12*7", ["12*7"]),
    ("What is 12 * 7?", ["12 * 7"]),
    ("wie viel ist 3 hoch 5", ["3 ^ 5"]),
    ("calculate 18% of 2450", ["18% of 2450"]),
    ("15 percent of 80", ["15% of 80"]),
    ("Was sind 15 Prozent von 80?", ["15% of 80"]),
    ("combien font 12 fois 7 ?", ["12 * 7"]),
    ("Quelle est la racine carrée de 144 ?", ["sqrt(144)"]),
    ("¿Cuánto es 15 por ciento de 80?", ["15% of 80"]),
    ("cuánto es 3 elevado a 4", ["3 ^ 4"]),
    ("solve x^2 = 4", ["x^2 = 4"]),
    ("Solve x^2-5x+6=0 for x", ["solve(x^2-5x+6=0, x)"]),
    ("löse 2x + 3 = 7 nach x auf", ["solve(2x + 3 = 7, x)"]),
    ("résous x^2 - 9 = 0", ["x^2 - 9 = 0"]),
    ("resuelve la ecuación x^2 = 16", ["x^2 = 16"]),
    ("derivative of x^2", ["diff(x^2)"]),
    ("die Ableitung von x^3", ["diff(x^3)"]),
    ("dérivée de x^2", ["diff(x^2)"]),
    ("derivada de x^3", ["diff(x^3)"]),
    ("What is the integral of sin(x) from 0 to pi?", ["integrate(sin(x), 0, pi)"]),
    ("Integral von x^2 von 0 bis 3", ["integrate(x^2, 0, 3)"]),
    ("limit of sin(x)/x as x approaches 0", ["limit(sin(x)/x, x, 0)"]),
    ("Wurzel aus 16", ["sqrt(16)"]),
    ("2+2", ["2+2"]),
    ("Is 97 prime?", ["isprime(97)"]),
    ("ggT von 12 und 18", ["gcd(12, 18)"]),
    ("how many km are in 26.2 miles?", ["convert_to(26.2*miles, km)"]),
    ("100 celsius to fahrenheit", ["100*9/5 + 32"]),
    ("100 °F in °C", ["(100 - 32)*5/9"]),
    ("convert 37 C to F", ["37*9/5 + 32"]),
    ("wie viel Grad Celsius sind 100 Fahrenheit", ["(100 - 32)*5/9"]),
    ("Wie viel Grad Fahrenheit sind 20 Grad Celsius?", ["20*9/5 + 32"]),
    ("rechne 37,5 °C in Fahrenheit um", ["37.5*9/5 + 32"]),
    ("convert 98.6 degrees Fahrenheit to Celsius", ["(98.6 - 32)*5/9"]),
    ("how many degrees celsius is 1,000 fahrenheit?", ["(1000 - 32)*5/9"]),
    ("what's 68 degrees fahrenheit in celsius?", ["(68 - 32)*5/9"]),
    ("−5 °C in °F", ["-5*9/5 + 32"]),
    ("convert minus 40 °F to celsius", ["(-40 - 32)*5/9"]),
    ("300 K in °C", ["300 - 273.15"]),
    ("25 degrees celsius in kelvin", ["25 + 273.15"]),
    ("0 kelvin to fahrenheit", ["(0 - 273.15)*9/5 + 32"]),
    ("combien font 100 °F en °C ?", ["(100 - 32)*5/9"]),
    ("¿cuántos grados Celsius son 100 Fahrenheit?", ["(100 - 32)*5/9"]),
    ("quanti gradi Celsius sono 100 Fahrenheit?", ["(100 - 32)*5/9"]),
    ("quantos graus Celsius são 100 Fahrenheit?", ["(100 - 32)*5/9"]),
    ("100 Fahrenheit sind wie viel Grad Celsius?", ["(100 - 32)*5/9"]),
    ("What is 12*7 and what does the handbook say about vacation?", ["12*7"]),
    ("Compute 12*7 and 18% of 2450", ["12*7", "18% of 2450"]),
    ("solve x+y=3 and x-y=1", ["solve([x+y=3, x-y=1])"]),
    ("What is seven times eight?", ["7 * 8"]),
    ("20 is what percent of 80?", ["20/80*100"]),
    ("5!", ["5!"]),
    ("What's 20% tip on $54.30?", ["20% of 54.30"]),
    ("a jacket is $120, marked up by 10%", ["120 + 10%"]),
    ("5 feet 11 inches in cm", ["convert_to(5*feet + 11*inches, cm)"]),
    ("What is 12*7 and the sum of 3, 4, 5?", ["12*7"]),
    ("15% off 80", ["80 - 15%"]),
    ("a shirt costs 80 euros, reduced by 15%", ["80 - 15%"]),
    ("3 hours 45 minutes in minutes", ["convert_to(3*hours + 45*minutes, minutes)"]),
    ("sum of 1 to 100", ["Sum(k, (k, 1, 100))"]),
    ("half of 90", ["90/2"]),
    ("how many seconds in a day", ["convert_to(1*day, seconds)"]),
    ("compute 12 x 4", ["12 * 4"]),
    ("percent change from 50 to 75", ["(75 - 50)/50*100"]),
    ("round 3.14159 to 2 decimals", ["round(3.14159, 2)"]),
    ("What is x if 2^x = 32?", ["solve(2^x = 32, x)"]),
    ("Is 3 > 2?", ["3 > 2"]),
    ("0x1F in decimal", ["0x1F"]),
    ("area of a circle with radius 3", ["pi*3^2"]),
    ("sqrt(2) to 30 digits", ["N(sqrt(2), 30)"]),
    ("pi to 50 digits", ["N(pi, 50)"]),
    ("Can you compute (2^10 - 24)/1000?", ["(2^10 - 24)/1000"]),
)


@pytest.mark.parametrize(("query", "expressions"), PROPOSED, ids=[query for query, _ in PROPOSED])
async def test_mathematics_in_a_question_is_proposed_and_can_be_worked_out(query: str, expressions: list[str]) -> None:
    tool = MathCalculator(InlineWorker())
    proposals = tool.propose(query, CONTEXT)
    assert [proposal.arguments["expression"] for proposal in proposals] == expressions
    assert all(proposal.confidence >= 0.85 for proposal in proposals)
    for proposal in proposals:
        assert (await tool.run(Arguments(**proposal.arguments), CONTEXT)).data["exact"]


@pytest.mark.parametrize(
    "query",
    [
        "I use python 3.11 every day",
        "python 3.11",
        "What is python 3.11?",
        "open 24/7",
        "What is 24/7?",
        "what does 24/7 mean?",
        "call 555-1234",
        "call me at +1 555-123-4567",
        "see page 3",
        "what is on page 3?",
        "what happened in 2024",
        "from 1990-2000",
        "on 12/05/2024",
        "2024-05-12",
        "what happened on 2024-05-12?",
        "What is covid-19?",
        "tell me about GPT-4",
        "what is an A/B test",
        "version 3.11.2 of the library",
        "section 3.2-3.4",
        "192.168.0.1",
        "meet at 10:30",
        "3-4 days",
        "1-2 weeks",
        "20% of employees like it",
        "What did 20% of the 500 employees say?",
        "ISBN 978-3-16-148410-0",
        "What is C++?",
        "https://example.com/1/2+3",
        "summarize report_2024.pdf",
        "how many days of vacation do I have?",
        "What is the limit of vacation days?",
        "room 12-34",
        "9/11",
        "Q3/2024 results",
        "expand on your answer",
        "simplify this text",
        "solve the mystery of the 3 ships",
        "What is the sum of the invoice?",
        "what are the roots of jazz",
        "integrate Stripe with our app",
        "convert this file to PDF",
        "average of the price column",
        "The plan for 2024, reduced by 15%, is in the handbook",
        "how many employees are in a team",
        "summarise chapter 3 to 5 digits",
        "What is the sum of all invoices from 2020 to 2024?",
        "What is error 0x80070005?",
        "",
    ],
)
def test_ordinary_numbers_are_not_mathematics(query: str) -> None:
    assert find_expressions(query) == []


@pytest.mark.parametrize(
    "query",
    [
        "min and max of 3, 9, -2",
        "mean, median of 3, 4, 5",
        "What is the average of 3, 9 and 12?",
        "What is the standard deviation of 2, 4, 4, 5?",
    ],
)
def test_a_list_of_numbers_with_statistics_is_left_to_the_analysis_of_data(query: str) -> None:
    assert all(found.confidence < 0.5 for found in find_expressions(query))


@pytest.mark.parametrize(
    "query",
    [
        "It is 20 °C in Berlin",
        "How hot is 30 C?",
        "Is 100 °F dangerous?",
        "20 °C bis 25 °C",
        "20 °C in C",
        "100 C in F major",
        "300 K in C",
        "C to F conversion",
        "What is the temperature in Celsius?",
        "how many degrees celsius is it in Fahrenheit, Texas 100",
        "convert the 100 Celsius readings to Fahrenheit",
    ],
)
def test_a_temperature_that_is_only_told_is_not_converted(query: str) -> None:
    assert temperature_of(query, decimal_comma=False) is None


@pytest.mark.parametrize("piece", ["convert ", "minus ", "how many ", "1,0", "° ", "- ", "what is the temperature in "])
def test_a_temperature_is_looked_for_fast_whatever_the_text(piece: str) -> None:
    clock = time.perf_counter()
    temperature_of((piece * 600)[:600], decimal_comma=False)
    assert time.perf_counter() - clock < 0.5


def test_plain_prose_is_left_at_once() -> None:
    prose = "Summarise the main points of the employee handbook about parental leave and tell me who to contact."
    assert find_expressions(prose) == []
    best = min(timeit.repeat(lambda: find_expressions(prose), number=100, repeat=5)) / 100
    assert best < 100e-6


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("a shirt costs " * 20 + "8 euros, ", id="shirts"),
        pytest.param("is 1" + " " * 290 + "x", id="comparison"),
        pytest.param("integrate " + "from to " * 400, id="from to"),
        pytest.param("(" * 4000, id="brackets"),
        pytest.param("1" * 4000, id="digits"),
        pytest.param("1+" * 2000, id="sum"),
        pytest.param("1. " * 1300, id="numbered"),
        pytest.param("sin " * 1000, id="functions"),
        pytest.param("what is " * 500, id="questions"),
        pytest.param("limit of " + "as x to " * 36, id="limit"),
        pytest.param("- " * 2000, id="minus"),
        pytest.param("solve " + "and " * 900, id="and"),
    ],
)
def test_looking_for_mathematics_is_fast_whatever_the_text(query: str) -> None:
    clock = time.perf_counter()
    find_expressions(query)
    assert time.perf_counter() - clock < 0.5

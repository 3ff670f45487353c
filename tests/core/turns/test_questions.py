"""A question about the turn's words: the last asking counts, and is awaited for a time."""

from __future__ import annotations

from aywa.core.turns.questions import Question


def test_the_answer_to_the_last_asking_counts_once() -> None:
    question = Question(0.5)
    assert question.awaited_until_s is None
    assert question.wait_s is None
    question.ask("one", "", 1.0)
    question.ask("one two", "", 2.0)
    assert question.awaited_until_s == 2.5
    assert not question.answered(1, 3.0)
    assert question.answered(2, 0.75)
    assert question.awaited_until_s is None
    assert question.wait_s == 0.75
    assert not question.answered(2, 9.0)
    assert question.wait_s == 0.75


def test_the_same_words_are_not_asked_about_again_in_a_turn() -> None:
    question = Question(0.5)
    assert question.is_new("one", "hello")
    question.ask("one", "hello", 1.0)
    assert not question.is_new("one", "hello")
    assert question.is_new("one", "good bye")
    assert question.is_new("one two", "hello")
    question.answered(1, 2.0)
    question.forget()
    assert question.is_new("one", "hello")
    assert question.wait_s is None


def test_an_answer_for_a_turn_that_is_gone_does_not_count() -> None:
    question = Question(0.5)
    question.ask("one", "", 1.0)
    question.forget()
    assert question.awaited_until_s is None
    assert not question.answered(1, 2.0)

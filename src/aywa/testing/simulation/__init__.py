"""Whole calls drawn from one number: who calls, how they speak, what breaks and when; and what must hold all the same.

`scenario` draws, `caller`, `providers` and `media` act, `truth` keeps what really happened, `checker` judges by it.
boot/simulation.py joins them with the real session.
"""

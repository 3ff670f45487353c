"""Voices of vendors. Each module speaks one wire; what two of them share lies beside them."""

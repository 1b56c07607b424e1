"""Tests of Treadle, one folder for each of its own."""

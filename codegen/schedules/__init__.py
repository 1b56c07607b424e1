"""Schedules: which loops, lanes and tasks a fused body becomes, by kind of body.

They decide for a target's facts and know no target syntax.
"""
